/* entry.h - the one symbol that the module exports. SPDX-License-Identifier: MIT */

/* 8.0 is the first architecture with bfloat16 products. */
static int find_device(cad_ops_t *ops, int index, cad_error_t *err)
{
    struct cudaDeviceProp prop;
    int n = 0;
    cudaError_t e = cudaGetDeviceCount(&n);
    if (e != cudaSuccess) return fail(err, CAD_EDEVICE, "%s", cudaGetErrorString(e));
    if (index >= n)
        return fail(err, CAD_EDEVICE, "there %s %d CUDA device%s, counted from 0", n == 1 ? "is" : "are", n,
                    n == 1 ? "" : "s");
    e = cudaGetDeviceProperties(&prop, index);
    if (e != cudaSuccess) return fail(err, CAD_EDEVICE, "%s", cudaGetErrorString(e));
    if (prop.major < 8)
        return fail(err, CAD_EDEVICE, "%s has compute capability %d.%d; 8.0 or later is needed", prop.name, prop.major,
                    prop.minor);
    snprintf(ops->name, sizeof ops->name, "cuda %.50s", prop.name);
    ops->device = index;
    return 0;
}

static const cad_back_ops_t BACK[2] = { /* fp32, bf16; in the order of core/train.h */
                                        { "cuda",       ROWS,        BLOCK,       BLOCK,          CAD_WHOLE,
                                          false,        1,           back_take,   back_give,      back_carve,
                                          grads_open,   grads_close, grads_renew, grads_collect,  back_start,
                                          back_divide,  back_embed,  back_out,    back_scan_fp32, back_conv_fp32,
                                          back_in_fp32, back_head,   back_pool },
                                        { "cuda",       ROWS,        BLOCK,       BLOCK,          CAD_WHOLE,
                                          false,        1,           back_take,   back_give,      back_carve,
                                          grads_open,   grads_close, grads_renew, grads_collect,  back_start,
                                          back_divide,  back_embed,  back_out,    back_scan_bf16, back_conv_bf16,
                                          back_in_bf16, back_head,   back_pool }
};

static void fill_ops(cad_ops_t *ops, bool half)
{
    snprintf(ops->precision, sizeof ops->precision, "%s", half ? "bf16" : "fp32");
    ops->tile = ops->split = CAD_WHOLE;
    ops->wide = 0;
    ops->pack = PACK;
    ops->least = 2048;
    ops->lanes = 2;
    ops->weights_open = weights_open;
    ops->weights_renew = weights_renew;
    ops->weights_close = weights_close;
    ops->lane_open = lane_open;
    ops->lane_close = lane_close;
    ops->read = op_read;
    ops->embed = op_embed;
    ops->in = half ? op_in_bf16 : op_in_fp32;
    ops->conv = half ? op_conv_bf16 : op_conv_fp32;
    ops->scan = half ? op_scan_bf16 : op_scan_fp32;
    ops->out = op_out;
    ops->head = op_head;
    ops->pool = op_pool;
    ops->back = &BACK[half];
}

#ifdef __cplusplus
extern "C"
#endif
    __attribute__((visibility("default"))) int
    cad_module(const cad_host_t *host, int index, bool half, cad_ops_t *ops, cad_error_t *err);

int cad_module(const cad_host_t *host, int index, bool half, cad_ops_t *ops, cad_error_t *err)
{
    cad_host_t own = CAD_HOST_INIT;
    int rc;
    if (host->abi != own.abi || memcmp(host, &own, sizeof own))
        return CAD_EARG; /* built for another version: err's layout is not known */
    rc = find_device(ops, index, err);
    if (rc == 0) fill_ops(ops, half);
    return rc;
}
