/* Stands for the server library of any earlier version of the original: every C symbol that its scripts ever named. */
#include "postgres.h"
#include "fmgr.h"

PG_MODULE_MAGIC;

#define SYMBOL(name) \
	PG_FUNCTION_INFO_V1(name); \
	Datum name(PG_FUNCTION_ARGS) { PG_RETURN_NULL(); }

#define BOTH(name) SYMBOL(name) SYMBOL(repmgr_##name)

BOTH(set_local_node_id)
BOTH(get_local_node_id)
BOTH(standby_set_last_updated)
BOTH(standby_get_last_updated)
BOTH(set_upstream_last_seen)
BOTH(get_upstream_last_seen)
BOTH(get_upstream_node_id)
BOTH(set_upstream_node_id)
BOTH(notify_follow_primary)
BOTH(get_new_primary)
BOTH(reset_voting_status)
BOTH(get_wal_receiver_pid)
BOTH(am_bdr_failover_handler)
BOTH(unset_bdr_failover_handler)
SYMBOL(get_repmgrd_pid)
SYMBOL(get_repmgrd_pidfile)
SYMBOL(set_repmgrd_pid)
SYMBOL(repmgrd_is_running)
SYMBOL(repmgrd_pause)
SYMBOL(repmgrd_is_paused)
