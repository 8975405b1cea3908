# Print an optspec for argparse to handle cmd's options that are independent of any subcommand.
function __fish_repmgr_global_optspecs
    string join \n help V/version version-number f/config-file= b/pg_bindir= F/force dry-run d/dbname= h/host= p/port= U/username= format= csv nagios optformat L/log-level= log-to-file q/quiet t/terse v/verbose
end

function __fish_repmgr_needs_command
    # Figure out if the current invocation already has a command.
    set -l cmd (commandline -opc)
    set -e cmd[1]
    argparse -s (__fish_repmgr_global_optspecs) -- $cmd 2>/dev/null
    or return
    if set -q argv[1]
        # Also print the command, so this can be used to figure out what it is.
        echo $argv[1]
        return 1
    end
    return 0
end

function __fish_repmgr_using_subcommand
    set -l cmd (__fish_repmgr_needs_command)
    test -z "$cmd"
    and return 1
    contains -- $cmd[1] $argv
end

complete -c repmgr -n "__fish_repmgr_needs_command" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_needs_command" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_needs_command" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_needs_command" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_needs_command" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_needs_command" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_needs_command" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_needs_command" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_needs_command" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_needs_command" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_needs_command" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_needs_command" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_needs_command" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_needs_command" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_needs_command" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_needs_command" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_needs_command" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_needs_command" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_needs_command" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_needs_command" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_needs_command" -f -a "primary" -d 'register and unregister a primary'
complete -c repmgr -n "__fish_repmgr_needs_command" -f -a "master" -d 'register and unregister a primary'
complete -c repmgr -n "__fish_repmgr_needs_command" -f -a "standby" -d 'clone and manage standbys'
complete -c repmgr -n "__fish_repmgr_needs_command" -f -a "witness" -d 'register and unregister a witness'
complete -c repmgr -n "__fish_repmgr_needs_command" -f -a "node" -d 'look at and look after this node'
complete -c repmgr -n "__fish_repmgr_needs_command" -f -a "cluster" -d 'look at and look after the whole cluster'
complete -c repmgr -n "__fish_repmgr_needs_command" -f -a "service" -d 'look at and pause the daemons of all nodes'
complete -c repmgr -n "__fish_repmgr_needs_command" -f -a "daemon" -d 'start and stop the daemon of this node'
complete -c repmgr -n "__fish_repmgr_needs_command" -f -a "write-right" -d 'let a primary write only with a majority\'s consent'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and not __fish_seen_subcommand_from register unregister" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and not __fish_seen_subcommand_from register unregister" -f -a "register" -d 'Creates the repmgr extension if it is missing and records this node as the primary of the cluster.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and not __fish_seen_subcommand_from register unregister" -f -a "unregister" -d 'Removes the record of an inactive primary.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -s S -l superuser -d 'A superuser for what the ordinary role may not do.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -l without-library -d 'Creates repmgr\'s tables without the extension, where its library cannot be installed on any node.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from register" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -l node-id -d 'The node meant, by its id.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand primary; and __fish_seen_subcommand_from unregister" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and not __fish_seen_subcommand_from register unregister" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and not __fish_seen_subcommand_from register unregister" -f -a "register" -d 'Creates the repmgr extension if it is missing and records this node as the primary of the cluster.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and not __fish_seen_subcommand_from register unregister" -f -a "unregister" -d 'Removes the record of an inactive primary.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -s S -l superuser -d 'A superuser for what the ordinary role may not do.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -l without-library -d 'Creates repmgr\'s tables without the extension, where its library cannot be installed on any node.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from register" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -l node-id -d 'The node meant, by its id.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand master; and __fish_seen_subcommand_from unregister" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and not __fish_seen_subcommand_from clone register unregister promote follow switchover" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and not __fish_seen_subcommand_from clone register unregister promote follow switchover" -f -a "clone" -d 'Makes this node\'s data directory a copy of another node\'s, ready to be started as a standby.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and not __fish_seen_subcommand_from clone register unregister promote follow switchover" -f -a "register" -d 'Records this node as a standby.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and not __fish_seen_subcommand_from clone register unregister promote follow switchover" -f -a "unregister" -d 'Removes the record of a standby; its server goes on running.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and not __fish_seen_subcommand_from clone register unregister promote follow switchover" -f -a "promote" -d 'Makes this standby the primary; the former primary must not be running.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and not __fish_seen_subcommand_from clone register unregister promote follow switchover" -f -a "follow" -d 'Attaches this running standby to a new upstream.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and not __fish_seen_subcommand_from clone register unregister promote follow switchover" -f -a "switchover" -d 'Makes this standby the primary and the running primary a standby.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s R -l remote-user -d 'The user for ssh and rsync; without it ssh decides.' -r -f -a "(__fish_complete_users)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s S -l superuser -d 'A superuser for what the ordinary role may not do.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s D -l pgdata -d 'The data directory, if the configuration file names none.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l upstream-node-id -d 'The node that the standby follows.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l upstream-conninfo -d 'The connection string for primary_conninfo, or of an upstream that is not registered yet.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l replication-user -d 'The role for replication connections.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l copy-external-config-files -d 'Copies configuration files outside of the data directory, to the same path (default) or into the data directory.' -r -f -a "samepath\t''
pgdata\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l recovery-min-apply-delay -d 'How long the standby waits before it replays a transaction: a number with ms, s, min, h or d.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s c -l fast-checkpoint -d 'Makes the source\'s checkpoint at full speed.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l no-upstream-connection -d 'With Barman: does not connect to the upstream.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l without-barman -d 'Clones with pg_basebackup even if Barman is configured.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l replication-conf-only -d 'Only writes the replication configuration of an existing data directory.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l verify-backup -d 'Verifies the copy with pg_verifybackup.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from clone" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l upstream-node-id -d 'The node that the standby follows.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l upstream-conninfo -d 'The connection string for primary_conninfo, or of an upstream that is not registered yet.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l wait-start -d 'How long to wait for the standby to accept connections; 30 seconds by default.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l wait-sync -d 'Waits until the record has reached the standby; without a number for ever.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from register" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l node-id -d 'The node meant, by its id.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l node-name -d 'The node meant, by its name.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from unregister" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -s R -l remote-user -d 'The user for ssh and rsync; without it ssh decides.' -r -f -a "(__fish_complete_users)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -l siblings-follow -d 'Makes the other standbys of the former primary follow the new one.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from promote" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s S -l superuser -d 'A superuser for what the ordinary role may not do.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l upstream-node-id -d 'The node that the standby follows.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l recovery-min-apply-delay -d 'How long the standby waits before it replays a transaction: a number with ms, s, min, h or d.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s w -l wait -d 'Waits for a new primary to appear, or for the daemon to have started or stopped.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from follow" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s R -l remote-user -d 'The user for ssh and rsync; without it ssh decides.' -r -f -a "(__fish_complete_users)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s S -l superuser -d 'A superuser for what the ordinary role may not do.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l force-rewind -d 'Runs pg_rewind on the former primary; PATH is that program\'s.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l siblings-follow -d 'Makes the other standbys of the former primary follow the new one.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l always-promote -d 'Promotes even if this standby lacks WAL that the primary has.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l repmgrd-no-pause -d 'Does not pause the daemons meanwhile.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l repmgrd-force-unpause -d 'Unpauses all daemons afterwards, also those that were paused before.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand standby; and __fish_seen_subcommand_from switchover" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and not __fish_seen_subcommand_from register unregister" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and not __fish_seen_subcommand_from register unregister" -f -a "register" -d 'Records this node\'s server as a witness of the cluster.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and not __fish_seen_subcommand_from register unregister" -f -a "unregister" -d 'Removes the record of a witness; its server goes on running.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s S -l superuser -d 'A superuser for what the ordinary role may not do.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -l without-library -d 'Creates repmgr\'s tables without the extension, where its library cannot be installed on any node.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from register" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -l node-id -d 'The node meant, by its id.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand witness; and __fish_seen_subcommand_from unregister" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and not __fish_seen_subcommand_from status check rejoin service" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and not __fish_seen_subcommand_from status check rejoin service" -f -a "status" -d 'Shows this node\'s state and what is wrong with it.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and not __fish_seen_subcommand_from status check rejoin service" -f -a "check" -d 'Checks this node, in forms that monitoring systems read.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and not __fish_seen_subcommand_from status check rejoin service" -f -a "rejoin" -d 'Makes a stopped former primary a standby of the running cluster.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and not __fish_seen_subcommand_from status check rejoin service" -f -a "service" -d 'Shows or runs the commands that start, stop, restart, reload and promote this node\'s server.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -s S -l superuser -d 'A superuser for what the ordinary role may not do.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l archive-ready -d 'Checks the files that wait to be archived.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l downstream -d 'Checks that all downstream nodes are attached.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l upstream -d 'Checks that this node is attached to its upstream.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l replication-lag -d 'Checks the replication lag in seconds.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l role -d 'Checks that the server\'s role is the registered one.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l slots -d 'Checks for inactive replication slots.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l missing-slots -d 'Checks for missing replication slots.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l repmgrd -d 'Checks that the daemon runs and is not paused.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l synchronous -d 'Checks that the synchronous standbys are there.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l data-directory-config -d 'Checks that data_directory in the configuration file is the server\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from check" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s S -l superuser -d 'A superuser for what the ordinary role may not do.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l recovery-min-apply-delay -d 'How long the standby waits before it replays a transaction: a number with ms, s, min, h or d.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l force-rewind -d 'Runs pg_rewind on the former primary; PATH is that program\'s.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l config-files -d 'Configuration files to keep over pg_rewind, separated by commas.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l config-archive-dir -d 'Where they are kept meanwhile; /tmp by default.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s W -l no-wait -d 'Does not wait for the result.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from rejoin" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -s S -l superuser -d 'A superuser for what the ordinary role may not do.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -s D -l pgdata -d 'The data directory, if the configuration file names none.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l action -d 'start, stop, restart, reload or promote.' -r -f -a "start\t''
stop\t''
restart\t''
reload\t''
promote\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l list-actions -d 'Shows the commands instead of running one.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l checkpoint -d 'Makes a checkpoint before the server is stopped or restarted.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand node; and __fish_seen_subcommand_from service" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and not __fish_seen_subcommand_from show event crosscheck matrix cleanup" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and not __fish_seen_subcommand_from show event crosscheck matrix cleanup" -f -a "show" -d 'Shows all nodes with their state as found now.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and not __fish_seen_subcommand_from show event crosscheck matrix cleanup" -f -a "event" -d 'Shows what happened in the cluster, newest first.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and not __fish_seen_subcommand_from show event crosscheck matrix cleanup" -f -a "crosscheck" -d 'Shows which node can connect to which, as all nodes together see it.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and not __fish_seen_subcommand_from show event crosscheck matrix cleanup" -f -a "matrix" -d 'Shows which node can connect to which.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and not __fish_seen_subcommand_from show event crosscheck matrix cleanup" -f -a "cleanup" -d 'Deletes old rows of the monitoring history.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -l compact -d 'A narrower table.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l node-id -d 'The node meant, by its id.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l node-name -d 'The node meant, by its name.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l event -d 'Only events of this name.' -r -f -a "cluster_created\t''
primary_register\t''
primary_unregister\t''
standby_clone\t''
standby_register\t''
standby_register_sync\t''
standby_unregister\t''
standby_promote\t''
standby_follow\t''
standby_switchover\t''
witness_register\t''
witness_unregister\t''
node_rejoin\t''
cluster_cleanup\t''
repmgrd_start\t''
repmgrd_reload\t''
repmgrd_shutdown\t''
repmgrd_local_disconnect\t''
repmgrd_local_reconnect\t''
repmgrd_standby_reconnect\t''
repmgrd_upstream_disconnect\t''
repmgrd_upstream_reconnect\t''
standby_failure\t''
standby_recovery\t''
repmgrd_failover_promote\t''
repmgrd_promote_error\t''
repmgrd_failover_abort\t''
repmgrd_failover_aborted\t''
repmgrd_failover_follow\t''
standby_disconnect_manual\t''
child_node_disconnect\t''
child_node_reconnect\t''
child_node_new_connect\t''
child_nodes_disconnect_command\t''
write_right_acquired\t''
write_right_renewal_failed\t''
write_right_lapsed\t''
write_right_server_stopped\t''
write_right_released\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l limit -d 'How many events to show; 20 by default.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l compact -d 'A narrower table.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l all -d 'Shows all events.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from event" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s R -l remote-user -d 'The user for ssh and rsync; without it ssh decides.' -r -f -a "(__fish_complete_users)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -l node-id -d 'The node meant, by its id.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from crosscheck" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s d -l dbname -d 'Database or connection string.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s h -l host -d 'The host to connect to.' -r -f -a "(__fish_print_hostnames)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s p -l port -d 'The port to connect to.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s U -l username -d 'The role to connect as.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s R -l remote-user -d 'The user for ssh and rsync; without it ssh decides.' -r -f -a "(__fish_complete_users)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -l node-id -d 'The node meant, by its id.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from matrix" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -l node-id -d 'The node meant, by its id.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -s k -l keep-history -d 'Keeps rows younger than this; 0 by default, which deletes all.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand cluster; and __fish_seen_subcommand_from cleanup" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and not __fish_seen_subcommand_from status pause unpause" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and not __fish_seen_subcommand_from status pause unpause" -f -a "status" -d 'Shows the daemons of all nodes.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and not __fish_seen_subcommand_from status pause unpause" -f -a "pause" -d 'Makes all daemons stand still: no failover until unpaused.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and not __fish_seen_subcommand_from status pause unpause" -f -a "unpause" -d 'Makes all daemons work again.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -l compact -d 'A narrower table.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -l detail -d 'Also shows location and priority.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from status" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from pause" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand service; and __fish_seen_subcommand_from unpause" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and not __fish_seen_subcommand_from start stop" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and not __fish_seen_subcommand_from start stop" -f -a "start" -d 'Starts this node\'s daemon with repmgrd_service_start_command.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and not __fish_seen_subcommand_from start stop" -f -a "stop" -d 'Stops this node\'s daemon with repmgrd_service_stop_command.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -s w -l wait -d 'Waits for a new primary to appear, or for the daemon to have started or stopped.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -s W -l no-wait -d 'Does not wait for the result.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from start" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -s w -l wait -d 'Waits for a new primary to appear, or for the daemon to have started or stopped.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -s W -l no-wait -d 'Does not wait for the result.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand daemon; and __fish_seen_subcommand_from stop" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and not __fish_seen_subcommand_from enable disable show force" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and not __fish_seen_subcommand_from enable disable show force" -f -a "enable" -d 'Checks all nodes and switches the right to write on, in a running cluster.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and not __fish_seen_subcommand_from enable disable show force" -f -a "disable" -d 'Switches the right to write off: a primary may write again whatever the others say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and not __fish_seen_subcommand_from enable disable show force" -f -a "show" -d 'Shows who holds the right to write, as each node sees it.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and not __fish_seen_subcommand_from enable disable show force" -f -a "force" -d 'Gives nodes up for good, so that those that remain grant the right to write without a majority of all.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from enable" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from disable" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from show" -s v -l verbose -d 'Logs more.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -l give-up -d 'The nodes that are gone for good and vote no more, by their ids.' -r -f
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -s f -l config-file -d 'The configuration file.' -r -F
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -s b -l pg_bindir -d 'Where PostgreSQL\'s programs are; wins over repmgr.conf.' -r -f -a "(__fish_complete_directories)"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -l format -d 'Form of the result: text, csv, json, nagios, optformat.' -r -f -a "text\t''
csv\t''
json\t''
nagios\t''
optformat\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -s L -l log-level -d 'DEBUG, INFO (default), NOTICE, WARNING, ERROR, ALERT, CRIT, EMERG.' -r -f -a "DEBUG\t''
INFO\t''
NOTICE\t''
WARNING\t''
ERROR\t''
ALERT\t''
CRIT\t''
EMERG\t''"
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -s F -l force -d 'Does what is otherwise refused; each command says what.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -l dry-run -d 'Checks and shows what would be done; changes nothing.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -l help -d 'Shows this help; after a noun or a verb, that one\'s.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -s V -l version -d 'Shows the version; with --verbose also our own.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -l version-number -d 'Shows the version as a number.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -l csv -d 'The same as --format=csv.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -l nagios -d 'The same as --format=nagios.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -l optformat -d 'The same as --format=optformat.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -l log-to-file -d 'Logs where log_facility and log_file say.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -s q -l quiet -d 'Logs errors only.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -s t -l terse -d 'Leaves out DETAIL, HINT, and warnings about options and settings.'
complete -c repmgr -n "__fish_repmgr_using_subcommand write-right; and __fish_seen_subcommand_from force" -s v -l verbose -d 'Logs more.'
