#pragma once
// igzip's state structs hold arrays of tens of kilobytes, which Swift would import as tuples: they stay behind
// untyped handles here. Every call is a thin wrapper without policy.
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>
#include <stdlib.h>
#include <string.h>

/// A new inflate state for one gzip member, or NULL without memory. Freed with `berth_isal_free`.
static inline void *_Nullable berth_inflate_new(void) {
    struct inflate_state *state = (struct inflate_state *)malloc(sizeof *state);
    if (!state) return NULL;
    isal_inflate_init(state);
    state->crc_flag = ISAL_GZIP;
    return state;
}

/// Makes `handle` ready for the next gzip member.
static inline void berth_inflate_reset(void *_Nonnull handle) {
    struct inflate_state *state = (struct inflate_state *)handle;
    isal_inflate_reset(state);
    state->crc_flag = ISAL_GZIP;
}

/// Inflates from `input` to `output`; both counts are updated to what is left.
/// Returns 0 or a negative ISAL error; `*finished` is set when the member's trailer has been read and checked.
static inline int berth_inflate(
    void *_Nonnull handle, const uint8_t *_Nonnull input, uint32_t *_Nonnull input_left, uint8_t *_Nonnull output,
    uint32_t *_Nonnull output_left, int *_Nonnull finished) {
    struct inflate_state *state = (struct inflate_state *)handle;
    state->next_in = (uint8_t *)input;
    state->avail_in = *input_left;
    state->next_out = output;
    state->avail_out = *output_left;
    int result = isal_inflate(state);
    *finished = state->block_state == ISAL_BLOCK_FINISH;
    *input_left = state->avail_in;
    *output_left = state->avail_out;
    return result < 0 ? result : 0;
}

struct berth_deflate {
    struct isal_zstream stream;
    uint8_t level_buffer[ISAL_DEF_LVL1_DEFAULT];
};

/// A new gzip compressor of level 1, or NULL without memory. Freed with `berth_isal_free`.
static inline void *_Nullable berth_deflate_new(void) {
    struct berth_deflate *deflate = (struct berth_deflate *)malloc(sizeof *deflate);
    if (!deflate) return NULL;
    isal_deflate_init(&deflate->stream);
    deflate->stream.gzip_flag = IGZIP_GZIP;
    deflate->stream.level = 1;
    deflate->stream.level_buf = deflate->level_buffer;
    deflate->stream.level_buf_size = sizeof deflate->level_buffer;
    return deflate;
}

/// Compresses from `input` to `output`; both counts are updated to what is left. `last` marks the final input.
/// Returns 0 or a negative ISAL error; `*finished` is set when the trailer has been written.
static inline int berth_deflate(
    void *_Nonnull handle, const uint8_t *_Nonnull input, uint32_t *_Nonnull input_left, int last,
    uint8_t *_Nonnull output, uint32_t *_Nonnull output_left, int *_Nonnull finished) {
    struct isal_zstream *stream = &((struct berth_deflate *)handle)->stream;
    stream->next_in = (uint8_t *)input;
    stream->avail_in = *input_left;
    stream->end_of_stream = last ? 1 : 0;
    stream->flush = NO_FLUSH;
    stream->next_out = output;
    stream->avail_out = *output_left;
    int result = isal_deflate(stream);
    *finished = stream->internal_state.state == ZSTATE_END;
    *input_left = stream->avail_in;
    *output_left = stream->avail_out;
    return result < 0 ? result : 0;
}

static inline void berth_isal_free(void *_Nullable handle) { free(handle); }
