#include "logic/failure_detector.h"
#include <math.h>

#define WEIGHT 0.1 /* of a new interval */
#define PHI_MAX 300.0

void failure_detector_init(failure_detector_t *f, uint32_t expected_ms, uint64_t now_ms)
{
    double std = expected_ms / 2.0;
    *f = (failure_detector_t){
        .mean_ms = expected_ms, .variance = std * std, .last_ms = now_ms, .expected_ms = expected_ms};
}

void failure_detector_heard(failure_detector_t *f, uint64_t now_ms)
{
    uint64_t interval = now_ms > f->last_ms ? now_ms - f->last_ms : 0;
    f->last_ms = now_ms;
    if (interval < f->expected_ms / 2)
        return; /* other messages between two heartbeats must not shorten what is expected */
    double most = 4.0 * f->expected_ms; /* an outage is no rhythm */
    double x = (double)interval < most ? (double)interval : most, d = x - f->mean_ms;
    f->mean_ms += WEIGHT * d;
    f->variance = (1 - WEIGHT) * (f->variance + WEIGHT * d * d);
}

static double deviation(const failure_detector_t *f)
{
    double std = sqrt(f->variance), least = f->expected_ms / 4.0;
    return std > least ? std : least;
}

/* The normal distribution's tail, approximated by a logistic one. */
static double phi_at(const failure_detector_t *f, double silence_ms)
{
    double mean = f->mean_ms > f->expected_ms ? f->mean_ms : f->expected_ms;
    double y = (silence_ms - mean) / deviation(f), e = exp(-y * (1.5976 + 0.070566 * y * y));
    double phi = silence_ms > mean ? -log10(e / (1 + e)) : -log10(1 - 1 / (1 + e));
    return phi < PHI_MAX ? phi : PHI_MAX; /* also for infinity */
}

double failure_detector_phi(const failure_detector_t *f, uint64_t now_ms)
{
    return now_ms > f->last_ms ? phi_at(f, (double)(now_ms - f->last_ms)) : 0;
}

uint64_t failure_detector_due_ms(const failure_detector_t *f, double threshold)
{
    uint64_t low = 0, high = 1000 * (uint64_t)f->expected_ms + 1;
    while (low + 1 < high) { /* phi grows with the silence */
        uint64_t middle = low + (high - low) / 2;
        if (phi_at(f, (double)middle) >= threshold)
            high = middle;
        else
            low = middle;
    }
    return f->last_ms + high;
}
