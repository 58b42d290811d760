/* failure_detector: how likely a peer is lost, from when it was heard. The phi-accrual detector of
 * Hayashibara et al. (2004): phi is -log10 of the probability that news would still come after such a
 * silence, given the intervals so far; 8 means one wrong suspicion in 10^8 waits. */
#ifndef LOGIC_FAILURE_DETECTOR_H
#define LOGIC_FAILURE_DETECTOR_H
#include "base/bytes.h"

typedef struct failure_detector {
    double mean_ms, variance; /* of the intervals, smoothed */
    uint64_t last_ms;
    uint32_t expected_ms;
} failure_detector_t;
/* expected_ms: the interval at which news is due; assumed until there are observations. */
void failure_detector_init(failure_detector_t *f, uint32_t expected_ms, uint64_t now_ms);
void failure_detector_heard(failure_detector_t *f, uint64_t now_ms);
double failure_detector_phi(const failure_detector_t *f, uint64_t now_ms); /* 0 to 300 */
/* The first time at which phi reaches the threshold, when nothing more is heard. */
uint64_t failure_detector_due_ms(const failure_detector_t *f, double threshold);
#endif
