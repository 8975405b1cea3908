# Test programs on servers mostly wait, so more of them than there are processors run at the same time. What does not hold
# among all the others is run once more, by itself. If it holds then it is unsteady: named, for somebody to mend the test
# or what it tests. Sourced by test.sh and versions-inside.sh, which set and export
#
#   programs   lines with the name and the file of a test program
#   threads    how many tests of each run at the same time, and at_once of the programs
#   again      a file for what did not hold
#   unsteady   a file for what held then
#   passed     a function that is told the name of each program whose tests all held, at once or by themselves

# Names and files of the test programs, from what cargo says.
programs_of_cargo() {
    sed -n 's|^ *Executable tests/\([^ ./]*\)[^ ]* (\(.*\))$|\1 \2|p'
}

# Runs one test program; what it says comes in one piece, when it has ended.
program() {
    local file start=$SECONDS said result=0
    file=$(awk -v name="$1" '$1 == name { print $2 }' <<<"$programs")
    said=$("$file" -q --test-threads="$threads" "${@:2}" 2>&1) || result=1
    printf '\n-- %s: %s s\n%s\n' "$*" "$((SECONDS - start))" "$said"
    [ $# -gt 1 ] || [ "$result" = 1 ] || passed "$1"
    # The names are between the last "failures:" and the result; a program that was killed names none.
    [ "$result" = 0 ] || awk -v program="$1" '
        $0 == "failures:" { delete names; n = 0 }
        /^    [^ ]+$/ { names[++n] = $1 }
        END { if (!n) print program, "-"; for (i = 1; i <= n; i++) print program, names[i] }' <<<"$said" >>"$again"
    return $result
}

together() {
    rm -f "$again"
    printf '%s\n' "$@" | xargs -P "$at_once" -I '{}' bash -c 'program {}' && return
    local failures name test result=0 bad=' '
    [ -s "$again" ] || return 1
    mapfile -t failures <"$again"
    for failure in "${failures[@]}"; do
        read -r name test <<<"$failure"
        if [ "$test" != - ] && program "$name" --exact "$test"; then
            echo "${REPMGR_TEST_FLAVOR:+$REPMGR_TEST_FLAVOR }$name $test" >>"$unsteady"
        else
            bad+="$name "
            result=1
        fi
    done
    for name in $(printf '%s\n' "${failures[@]%% *}" | sort -u); do
        [[ $bad == *" $name "* ]] || passed "$name"
    done
    return $result
}

# Names what was unsteady; fails if that was more than three tests.
name_unsteady() {
    [ -e "$unsteady" ] || return 0
    printf 'unsteady: held only when run again by itself: %s\n' "$(wc -l <"$unsteady")"
    cat "$unsteady"
    [ "$(wc -l <"$unsteady")" -le 3 ]
}
