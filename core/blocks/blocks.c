/* blocks.c - the table of all layer kinds. To add a kind, add its name to CAD_KINDS in model/block.h, a file in this
 * folder, and its operations in each backend. SPDX-License-Identifier: MIT
 */
#include "model/block.h"

#define DECLARE(name) extern const cad_block_t cad_block_##name;
#define ENTRY(name) &cad_block_##name,

CAD_KINDS(DECLARE)
const cad_block_t *const cad_blocks[CAD_NKINDS] = { CAD_KINDS(ENTRY) };
