# caduceus.m4 - the checks of configure.ac that need more than a line.

# CAD_ADD_FLAG(VARIABLE, FLAG): append the flag if the compiler knows it.
AC_DEFUN([CAD_ADD_FLAG], [
  AC_MSG_CHECKING([whether $CC knows $2])
  cad_saved=$CFLAGS
  CFLAGS="$CFLAGS -Werror $2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
  CFLAGS=$cad_saved
])

# CAD_ISA(NAME, FLAGS): sets cad_have_NAME and substitutes NAME_CFLAGS.
AC_DEFUN([CAD_ISA], [
  AC_MSG_CHECKING([for $1 with $2])
  cad_saved=$CFLAGS
  CFLAGS="$CFLAGS $2"
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#include <immintrin.h>]],
      [[__m256 a = _mm256_fmadd_ps(_mm256_setzero_ps(), _mm256_setzero_ps(), _mm256_setzero_ps());
        return (int)_mm256_cvtss_f32(a) + !__builtin_cpu_supports("avx512dq");]])],
    [cad_have_$1=yes; cad_isas="$cad_isas m4_tolower([$1])"], [cad_have_$1=no])
  CFLAGS=$cad_saved
  AC_MSG_RESULT([$cad_have_$1])
  AC_SUBST([$1_CFLAGS], ["$2"])
])

# CAD_HTSLIB_DIR(DIR): an installed prefix or a build tree.
AC_DEFUN([CAD_HTSLIB_DIR], [
  AS_IF([test -f "$1/include/htslib/hts.h"],
      [HTSLIB_CFLAGS="-I$1/include"; HTSLIB_LIBS="-L$1/lib -Wl,-rpath,$1/lib -lhts"],
    [test -f "$1/htslib/hts.h"],
      [HTSLIB_CFLAGS="-I$1"; HTSLIB_LIBS="-L$1 -Wl,-rpath,$1 -lhts"],
    [AC_MSG_ERROR([--with-htslib=$1: neither include/htslib/hts.h nor htslib/hts.h is there])])
  AC_MSG_CHECKING([for htslib 1.16 or later in $1])
  cad_saved=$CPPFLAGS
  CPPFLAGS="$CPPFLAGS $HTSLIB_CFLAGS"
  AC_PREPROC_IFELSE([AC_LANG_PROGRAM([[#include <htslib/hts.h>
#if HTS_VERSION < 101600
#error too old
#endif]])], [AC_MSG_RESULT([yes])], [AC_MSG_ERROR([htslib in $1 is older than 1.16])])
  CPPFLAGS=$cad_saved
  AC_SUBST([HTSLIB_CFLAGS])
  AC_SUBST([HTSLIB_LIBS])
])

# CAD_CUDA(auto|yes|no|DIR): sets NVCC and cad_cuda.
AC_DEFUN([CAD_CUDA], [
  NVCC=
  AS_CASE([$1],
    [no], [cad_cuda=no],
    [auto|yes], [AC_PATH_PROG([NVCC], [nvcc], [], [$PATH:/usr/local/cuda/bin])],
    [AC_PATH_PROG([NVCC], [nvcc], [], [$1/bin])
     AS_IF([test -z "$NVCC"], [AC_MSG_ERROR([--with-cuda=$1: no nvcc in $1/bin])])])
  AS_IF([test "$1" = yes && test -z "$NVCC"], [AC_MSG_ERROR([--with-cuda=yes: nvcc was not found; give --with-cuda=DIR])])
  AS_IF([test -n "$NVCC"], [cad_cuda="$NVCC (not used by this version)"], [cad_cuda=no])
])
