\echo Use "CREATE EXTENSION repmgr_write_right" to load this file. \quit

-- Puts a daemon's question to this node as a voter, and returns the answer. What must not be forgotten is on disk by then.
CREATE FUNCTION ask(question text)
    RETURNS text
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'repmgr_write_right_ask';

-- Moves the end of this server's right to write forward, to a time of CLOCK_BOOTTIME in milliseconds, and returns the end that
-- counts now. The server is the one that status() named; the ballot is the one that the right was granted under.
CREATE FUNCTION hold_until(end_boottime_ms bigint, server bigint, ballot text)
    RETURNS bigint
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'repmgr_write_right_hold_until';

-- Ends this server's right to write at once; nothing is extended under that ballot again.
CREATE FUNCTION lapse(ballot text)
    RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'repmgr_write_right_lapse';

-- Asks the daemon of this server, for so many milliseconds, to acquire the right for a promotion; 0 takes that back.
CREATE FUNCTION wish(milliseconds bigint)
    RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'repmgr_write_right_wish';

-- Tells the daemon of this server, for so many milliseconds, that a person gives these nodes up for good (their ids with commas
-- between them), so that the others vote without them; 0 takes that back.
CREATE FUNCTION give_up(nodes text, milliseconds bigint)
    RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'repmgr_write_right_give_up';

-- Tells it that nodes which were given up may vote again.
CREATE FUNCTION take_back(nodes text, milliseconds bigint)
    RETURNS void
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'repmgr_write_right_take_back';

-- Who grants the right: a majority of the nodes, or etcd. Said once, when it is switched on; all daemons go by it.
CREATE TABLE granted_by (
    only_one boolean PRIMARY KEY DEFAULT true CHECK (only_one),
    who text NOT NULL CHECK (who IN ('majority', 'etcd')));

-- How the right to write stands on this server.
CREATE FUNCTION status(
    -- Whether the checks are hooked into the server: the library is in shared_preload_libraries since its start.
    OUT enforcement_loaded boolean,
    -- Whether they are switched on as well (repmgr.require_write_right).
    OUT enforcement_on boolean,
    -- Whether commits need synchronous standbys as well (repmgr.require_synchronous_commit).
    OUT synchronous_on boolean,
    -- Another number whenever the server has forgotten its memory; 0 if the library is not preloaded.
    OUT server bigint,
    -- The clock that all ends are measured with, now.
    OUT boottime_ms bigint,
    -- The end of this server's own right, NULL if it was given none since its start, and what is left of it.
    OUT end_boottime_ms bigint,
    OUT remaining_ms bigint,
    -- This node as a voter: "voting"; "silent" or "lost" while it may have forgotten something and does not vote; "none" if
    -- it was never asked.
    OUT voter text,
    -- Which node it is, and what it has on record: the last holder, its epoch and ballot, and what is left of the lease
    -- that was granted to it.
    OUT node_id integer,
    OUT holder integer,
    OUT epoch bigint,
    OUT ballot text,
    OUT lease_remaining_ms bigint,
    -- The version of the voter list, and the list: version, voters, voters before, nodes given up.
    OUT list_version bigint,
    OUT list text,
    -- For how long it is silent, and what was lost.
    OUT silent_ms bigint,
    OUT loss text,
    -- Whether somebody waits for the daemon to acquire the right for a promotion.
    OUT wished boolean,
    -- What a person has told the daemon, "give-up" or "take-back", of which nodes, and until when that stands; NULL if nothing.
    OUT ordered text,
    OUT ordered_nodes text,
    OUT ordered_until_ms bigint,
    -- The round of the highest ballot that lapse() ended; 0 if there was none.
    OUT over_round bigint)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE
    AS 'MODULE_PATHNAME', 'repmgr_write_right_status';

REVOKE ALL ON FUNCTION ask(text), hold_until(bigint, bigint, text), lapse(text), wish(bigint), give_up(text, bigint),
    take_back(text, bigint), status() FROM PUBLIC;
