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

# CAD_ADD_LDFLAG(VARIABLE, FLAG): append the flag if the linker knows it.
AC_DEFUN([CAD_ADD_LDFLAG], [
  AC_MSG_CHECKING([whether the linker knows $2])
  cad_saved=$LDFLAGS
  LDFLAGS="$LDFLAGS $2"
  AC_LINK_IFELSE([AC_LANG_PROGRAM()],
    [AC_MSG_RESULT([yes]); $1="$$1 $2"], [AC_MSG_RESULT([no])])
  LDFLAGS=$cad_saved
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

# CAD_NEON: sets cad_have_NEON. Every 64-bit ARM processor has NEON, so no flags are needed.
AC_DEFUN([CAD_NEON], [
  AC_MSG_CHECKING([for NEON])
  AC_COMPILE_IFELSE([AC_LANG_PROGRAM([[#ifndef __aarch64__
#error not a 64-bit ARM processor
#endif
#include <arm_neon.h>]],
      [[return (int)vgetq_lane_f32(vfmaq_f32(vdupq_n_f32(1), vdupq_n_f32(1), vdupq_n_f32(1)), 0);]])],
    [cad_have_NEON=yes; cad_isas="$cad_isas neon"], [cad_have_NEON=no])
  AC_MSG_RESULT([$cad_have_NEON])
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

# CAD_CUDA(auto|yes|no|DIR): sets NVCC, NVCCFLAGS, CUDA_LIBS and cad_cuda: nvcc, or no.
AC_DEFUN([CAD_CUDA], [
  NVCC=
  AS_CASE([$1],
    [no], [],
    [auto|yes], [AC_PATH_PROG([NVCC], [nvcc], [], [$PATH:/usr/local/cuda/bin])],
    [AC_PATH_PROG([NVCC], [nvcc], [], [$1/bin])])
  cad_cuda=no
  AS_IF([test -n "$NVCC"], [
    cad_cuda_lib=`dirname "$NVCC"`/../lib64
    NVCCFLAGS="-std=c++17 -O3 -gencode arch=compute_80,code=sm_80 -gencode arch=compute_90,code=sm_90 -gencode arch=compute_90,code=compute_90 -Xcompiler -fPIC,-fvisibility=hidden,-Wall"
    CUDA_LIBS="-L$cad_cuda_lib -lcublasLt -Xlinker -rpath=`cd "$cad_cuda_lib" 2>/dev/null && pwd`"
    AC_MSG_CHECKING([whether $NVCC builds a module with cublasLt])
    AS_MKDIR_P([conftest.dir])
    AS_ECHO(["#include <cublasLt.h>
__global__ void f(float *x) { *x = 1; }
int g(void) { cublasLtHandle_t h; f<<<1, 1>>>(0); return cublasLtCreate(&h); }"]) >conftest.dir/conftest.cu
    AS_IF(["$NVCC" $NVCCFLAGS -shared -o conftest.dir/conftest.so conftest.dir/conftest.cu $CUDA_LIBS >&AS_MESSAGE_LOG_FD 2>&1], [cad_cuda=$NVCC])
    rm -rf conftest.dir
    AC_MSG_RESULT([$cad_cuda])])
  AS_IF([test "$cad_cuda" = no],
    [AS_CASE([$1], [auto|no], [], [AC_MSG_ERROR([--with-cuda=$1: no CUDA Toolkit with nvcc and cublasLt that works; see config.log])])])
  AC_SUBST([NVCCFLAGS])
  AC_SUBST([CUDA_LIBS])
])

# CAD_MPI(auto|yes|no): sets MPICC_OPENMPI and MPICC_MPICH, the compilers for which the MPI module is built, or "";
# cad_mpi: their names, or no.
AC_DEFUN([CAD_MPI], [
  MPICC_OPENMPI=
  MPICC_MPICH=
  cad_mpi=
  AS_ECHO(["#include <mpi.h>
#ifdef OPEN_MPI
cad_is_openmpi
#elif defined MPICH_VERSION
cad_is_mpich
#endif"]) >conftest.c
  AS_IF([test "x$1" != xno && test "x$cross_compiling" != xyes], [
    for cad_cc in mpicc.openmpi mpicc.mpich mpicc; do
      cad_kind=`$cad_cc -E conftest.c 2>/dev/null | sed -n 's/^cad_is_//p'`
      AS_CASE([$cad_kind],
        [openmpi], [test -n "$MPICC_OPENMPI" || { MPICC_OPENMPI=$cad_cc; cad_mpi="$cad_mpi openmpi"; }],
        [mpich], [test -n "$MPICC_MPICH" || { MPICC_MPICH=$cad_cc; cad_mpi="$cad_mpi mpich"; }])
    done])
  rm -f conftest.c
  AS_IF([test -z "$cad_mpi"], [
    cad_mpi=no
    AS_IF([test "x$1" = xyes], [AC_MSG_ERROR([--with-mpi: neither OpenMPI nor MPICH has an mpicc that works (libopenmpi-dev, libmpich-dev)])])])
  AC_SUBST([MPICC_OPENMPI])
  AC_SUBST([MPICC_MPICH])
])
