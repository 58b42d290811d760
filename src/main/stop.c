#include "main/stop.h"
#include <signal.h>

static struct {
    event_t event;
    bool is_raised;
} stop;

static void on_stop(void *arg)
{
    stop.is_raised = true;
    event_fire(&stop.event);
}

void stop_watch(task_t *t)
{
    event_init(&stop.event);
    uv_driver_on_signal(task_driver(t), SIGINT, on_stop, NULL);
    uv_driver_on_signal(task_driver(t), SIGTERM, on_stop, NULL);
}

err_t stop_wait(task_t *t)
{
    while (!stop.is_raised)
        TRY(event_wait(t, &stop.event));
    return OK;
}
