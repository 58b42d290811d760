/* held: where the roots stand that replication holds here against the collector. */
#ifndef NODE_HELD_H
#define NODE_HELD_H
#define HELD_SPACE "replica-held" /* roots that replication holds against the collector; key: binary CID */
#endif
