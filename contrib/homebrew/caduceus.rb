# Formula for Homebrew on Linux. From a clone, after ./configure && make dist:
#   brew install --build-from-source contrib/homebrew/caduceus.rb
# Not built by the project so far: test/packages.t only checks its syntax, and compares versions and dependencies.
# Nothing has been tried on macOS. In a tap, replace url by that of a release, and add its sha256.
class Caduceus < Formula
  desc "Run and train Caduceus DNA language models on genomes"
  url "file://#{File.expand_path("../../caduceus-0.3.0.tar.gz", __dir__)}"
  version "0.3.0"
  license "MIT"

  depends_on "pkgconf" => :build
  depends_on "cairo"
  depends_on "fftw"
  depends_on "htslib"
  depends_on "jansson"
  depends_on "libsvm"
  depends_on "libzip"
  depends_on :linux
  depends_on "nettle"

  uses_from_macos "curl"
  uses_from_macos "zlib"

  def install
    system "./configure", *std_configure_args, "--with-libzip", "--with-cairo", "--with-libcurl=yes", "--with-cuda=no"
    system "make"
    system "make", "install"
  end

  def caveats
    <<~EOS
      bcftools finds the plugin with
        export BCFTOOLS_PLUGINS=#{opt_libexec}/bcftools:
    EOS
  end

  test do
    cp_r doc.glob("examples/*"), testpath
    system bin/"caduceus", "annotate", "-m", "bundled", "-T", "example.fa", "regions.bed"
  end
end
