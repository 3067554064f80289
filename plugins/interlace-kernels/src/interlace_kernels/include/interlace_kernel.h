/* The calling convention of compiled rows, number 1. Plain C, nothing of Python in it.
 *
 * A row kernel evaluates the log-density of a block of rows and its derivatives in K linear
 * predictors. Every pointer is borrowed for the call.
 *
 *   data      the kernel's own constants, read only; NULL if there are none
 *   n         rows of the block, at least 1
 *   y, ldy    what the kernel wants to see of each row, by column: y[j * ldy + i]
 *   eta, ld   the predictors, by column: eta[k * ld + i]
 *   constant  bit k is set where predictor k is the same number in all rows of the block
 *   want      one byte per slot; 0 says that it is not asked for
 *   out       out[slot * ld + i]; a slot that is not asked for may be used as scratch
 *
 * Slots are the sorted tuples of predictors of length 0 to 3, by length, then in order:
 *   K = 1:  (), 0, 00, 000
 *   K = 2:  (), 0, 1, 00, 01, 11, 000, 001, 011, 111
 * and (K + 1)(K + 2)(K + 3) / 6 of them in general; interlace_slot() gives their places.
 *
 * Returns 0; IK_NOT_OFFERED for a slot that it does not compute, upon which the caller turns to
 * the family's own derivatives; any other number ends the evaluation. A density of 0 is -INFINITY,
 * what is undefined is NAN.
 *
 * A kernel keeps no state and allocates nothing that outlives the call: several threads may be in
 * it at once, without Python's lock. It does not raise floating-point traps and does not set errno.
 */
#ifndef INTERLACE_KERNEL_H
#define INTERLACE_KERNEL_H
#include <stdint.h>

#define IK_ABI 1
#define IK_NOT_OFFERED 2

typedef int32_t (*ik_rows)(const void *data, int64_t n, const double *y, int64_t ldy,
                           const double *eta, int64_t ld, uint64_t constant, const uint8_t *want,
                           double *out);

/* The place of the derivative in predictors a <= b <= c; -1 stands for one less, on the left. */
static inline int64_t interlace_slot(int64_t K, int64_t a, int64_t b, int64_t c)
{
    int64_t slot, i;
    if (c < 0)
        return 0;
    if (b < 0)
        return 1 + c;
    if (a < 0) {
        slot = 1 + K;
        for (i = 0; i < b; i++)
            slot += K - i;
        return slot + c - b;
    }
    slot = 1 + K + K * (K + 1) / 2;
    for (i = 0; i < a; i++)
        slot += (K - i) * (K - i + 1) / 2;
    for (i = a; i < b; i++)
        slot += K - i;
    return slot + c - b;
}

static inline int64_t interlace_slots(int64_t K)
{
    return (K + 1) * (K + 2) * (K + 3) / 6;
}

#endif
