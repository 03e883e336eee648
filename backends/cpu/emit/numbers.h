/* Single numbers: their formats in 16 bits and 32, and functions of cnndsl.weights.evaluate. */

#ifndef CNNDSL_NUMBERS_H
#define CNNDSL_NUMBERS_H

#include <math.h>
#include <stdint.h>
#include <string.h>

/* Formats of packed numbers. */
enum cnndsl_format {
    CNNDSL_F32, CNNDSL_F16, CNNDSL_BF16, CNNDSL_I32, CNNDSL_I16, CNNDSL_I8, CNNDSL_U8
};

static inline double from_float32(uint32_t bits)
{
    float number;
    memcpy(&number, &bits, sizeof number);
    return number;
}

static inline double from_float16(uint32_t bits)
{
    int exponent = (int)(bits >> 10 & 31);
    double fraction = bits & 1023, sign = bits >> 15 ? -1 : 1;
    if (exponent == 31)
        return fraction != 0 ? NAN : sign * INFINITY;
    return sign * (exponent ? ldexp(1024 + fraction, exponent - 25) : ldexp(fraction, -24));
}

/* The nearest number of float16, ties to even. */
static inline uint16_t to_float16(double number)
{
    uint32_t sign = signbit(number) ? 0x8000u : 0;
    int exponent;
    number = fabs(number);
    if (!(number < 65520))
        return (uint16_t)(sign | (isnan(number) ? 0x7e00u : 0x7c00u));
    if (number < 0x1p-14) /* the smallest normal number */
        return (uint16_t)(sign | (uint32_t)rint(ldexp(number, 24)));
    frexp(number, &exponent);
    uint32_t rounded = (uint32_t)rint(ldexp(number, 11 - exponent)); /* 1024 to 2048 */
    return (uint16_t)(sign | (((uint32_t)(exponent + 13) << 10) + rounded));
}

/* The nearest number of bfloat16, ties to even. */
static inline double as_bfloat16(double number)
{
    float narrow = (float)number;
    uint32_t bits;
    memcpy(&bits, &narrow, sizeof bits);
    if (isnan(number))
        return number;
    return from_float32((bits + 0x7fff + (bits >> 16 & 1)) & 0xffff0000u);
}

static inline double equaliser(double a, double b)
{
    double root = a > 0 && b > 0 ? sqrt(a / b) : 1;
    return root < 1.0 / 64 ? 1.0 / 64 : root > 64 ? 64 : root;
}

static inline double significant(double number, int bits)
{
    int exponent;
    double fraction = frexp(number, &exponent);
    return ldexp(rint(ldexp(fraction, bits)), exponent - bits);
}

static inline double rounded(double number, double limit)
{
    number = rint(number);
    return number < -limit ? -limit : number > limit ? limit : number;
}

/* Write a number in a format, and give the place behind. The number becomes the one that is written,
   infinity if there is none like it. */
static inline unsigned char *write_number(double *number, int32_t format, unsigned char *target)
{
    float narrow = (float)*number;
    uint16_t bits = to_float16(*number);
    int32_t whole = fabs(*number) < 0x1p31 ? (int32_t)*number : 0;
    if (format == CNNDSL_F32) {
        *number = narrow;
        memcpy(target, &narrow, sizeof narrow);
        return target + sizeof narrow;
    }
    if (format == CNNDSL_F16) {
        *number = from_float16(bits);
        memcpy(target, &bits, sizeof bits);
        return target + sizeof bits;
    }
    if (format == CNNDSL_BF16) { /* the upper half of a float32 */
        uint32_t wide;
        narrow = (float)(*number = as_bfloat16(*number));
        memcpy(&wide, &narrow, sizeof wide);
        bits = (uint16_t)(wide >> 16);
        memcpy(target, &bits, sizeof bits);
        return target + sizeof bits;
    }
    *number = fabs(*number) < 0x1p31 ? whole : INFINITY;
    if (format == CNNDSL_I32) {
        memcpy(target, &whole, sizeof whole);
        return target + sizeof whole;
    }
    if (format == CNNDSL_I16) {
        bits = (uint16_t)whole;
        memcpy(target, &bits, sizeof bits);
        return target + sizeof bits;
    }
    *target = (unsigned char)whole;
    return target + 1;
}

#endif
