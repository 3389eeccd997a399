#!/bin/bash
# build.sh - builds and installs caduceus for conda; see meta.yaml. SPDX-License-Identifier: MIT
set -euo pipefail
autoreconf -fi
./configure --prefix="$PREFIX" --with-libzip --with-cairo --with-libcurl=yes --with-cuda=no
make -j"$CPU_COUNT"
make install
rm -f "$PREFIX"/lib/libcaduceus.la "$PREFIX"/libexec/bcftools/caduceus.la
