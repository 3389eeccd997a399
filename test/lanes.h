/* lanes.h - opens lanes for tests of operations, and compares their rows. Their memory may be on a GPU. SPDX-License-Identifier: MIT */
#ifndef CAD_TEST_LANES_H
#define CAD_TEST_LANES_H

#include "engine/backend.h"

/* If rc, which a function of the lane's backend returned, is an error, ends the test program with the lane's text. */
void lane_need(const cad_lane_t *l, int rc);
/* Opens a lane of `rows` rows, computed in tiles of `tile` rows unless the backend runs all rows at once. Its tokens are
 * 0. */
void lane_begin(cad_lane_t *l, const cad_ops_t *ops, const cad_weights_t *w, const cad_model_t *m, cad_team_t *team,
                int64_t rows, int64_t tile);
void lane_end(cad_lane_t *l);
/* Returns true if n rows of the residual have the same bits in lane a (from row `from`) and in lane b (from row `to`),
 * and no NaN. */
bool lane_same_rows(cad_lane_t *a, cad_lane_t *b, const cad_model_t *m, int64_t from, int64_t to, int64_t n);

#endif
