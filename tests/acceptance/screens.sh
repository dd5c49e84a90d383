#!/bin/bash
# Full screens inside `cofferdam run`, driven by tmux as a person's terminal. One line a program.
#
# usage: screens.sh COFFERDAM DIRECTORY   (the directory is made anew and left behind)
set -u
cofferdam=$1
work=$2
failed=0
rm -rf "$work" && mkdir -p "$work" && cd "$work" || exit 1
export TMUX_TMPDIR=$work PATH="$(dirname "$cofferdam"):$PATH"
unset TMUX
outer() { tmux -L person -f /dev/null "$@"; }
trap 'outer kill-server 2>/dev/null' EXIT
types() { outer send-keys -t p "$@"; }
screen() { outer capture-pane -p -t p; }

# sees PATTERN: waits until the screen shows it, ten seconds at most.
sees() {
    for _ in $(seq 100); do
        if screen | grep -qE -- "$1"; then return 0; fi
        sleep 0.1
    done
    echo "        waited for: $1; the screen:"
    screen | grep -v '^$' | sed 's/^/        | /'
    return 1
}

# A command line, and its end: the prompt on the last line that is not empty.
prompts() {
    for _ in $(seq 100); do
        if screen | grep -v '^$' | tail -n 1 | grep -q '^PROMPT>$'; then return 0; fi
        sleep 0.1
    done
    echo "        no prompt; the screen:"
    screen | grep -v '^$' | sed 's/^/        | /'
    return 1
}

starts() {
    types C-l
    types "$1" Enter
}

# The terminal after a program: settings as before, no alternate screen, no mouse, a cursor.
sane() {
    prompts || return 1
    flags=$(outer display-message -p -t p '#{alternate_on} #{mouse_any_flag} #{cursor_flag} #{keypad_cursor_flag}')
    [ "$flags" = "0 0 1 0" ] || { echo "        left on: $flags"; return 1; }
    starts "stty -g > after; cmp before after && echo settings-$((1 + 1))same"
    sees 'settings-2same' && prompts
}

row() {
    name=$1
    shift
    if "$@"; then echo "    ok $name"; else
        failed=1
        echo "    BROKEN $name"
        # The next one begins at a prompt.
        types C-c q C-c Enter
        prompts >/dev/null || outer respawn-pane -k -t p "PS1='PROMPT> ' exec bash --norc"
    fi
}

vim_writes() {
    rm -f notes.txt
    starts "cofferdam run -- vim -u NONE -N notes.txt"
    sees '"notes.txt" \[New' || return 1
    types i "written inside" Escape ":wq" Enter
    sane && [ "$(cat notes.txt)" = "written inside" ]
}

vim_stops_and_goes_on() {
    starts "cofferdam run -- vim -u NONE -N notes.txt"
    sees '^written inside' || return 1
    types C-z
    sees 'Stopped' && sane || return 1
    starts "fg"
    sees '^written inside' || return 1
    outer resize-window -t p -x 72 -y 18
    sleep 0.3
    types ":echo 'size' &columns &lines" Enter
    sees 'size 72 18' || return 1
    outer resize-window -t p -x 100 -y 30
    # A size that comes while vim leaves has it draw once more, with or without a wall.
    sleep 0.3
    types ":echo 'size' &columns &lines" Enter
    sees 'size 100 30' || return 1
    types ":q!" Enter
    # One that is drawing its last screen anew while it leaves may leave that screen's lines behind,
    # with or without a wall. The prompt is there; what is below it is cleared.
    sees '^PROMPT>$' || return 1
    types C-l
    sane
}

less_pages() {
    seq 1 5000 >numbers
    starts "cofferdam run -- less numbers"
    sees '^29$' || return 1
    types G
    sees '^5000$' || return 1
    types '?4321' Enter
    sees '^4321$' || return 1
    types q
    sane
}

less_behind_a_pipe() {
    starts "cofferdam run -- seq 1 5000 | less"
    sees '^29$' || return 1
    types G
    sees '^5000$' || return 1
    types q
    sane
}

htop_runs() {
    starts "cofferdam run -- htop"
    sees 'Tasks: +[0-9]+' || return 1
    types F10
    sane
}

tmux_runs() {
    starts "cofferdam run -- tmux -L inner -f /dev/null new-session"
    sees '\[0\] 0:' || return 1
    types "echo inner-\$((20 + 3))" Enter
    sees 'inner-23' || return 1
    types "exit" Enter
    sane
}

keys_signal() {
    starts "cofferdam run -- sh -c 'echo up-\$((1 + 1)); exec sleep 100'; echo st=\$?"
    sees 'up-2' || return 1
    types C-c
    sees 'st=130' && sane
}

shell_inside() {
    starts "cofferdam shell"
    sees '\(cofferdam\)' || return 1
    types "sleep 100" Enter
    sleep 0.3
    types C-z
    sees 'Stopped' || return 1
    types "kill %1; cat ~/.ssh/id_test; echo left-\$((1 + 1))" Enter
    sees 'No such file' && sees 'left-2' || return 1
    types "exit" Enter
    sane
}

killed() {
    starts "cofferdam run -- vim -u NONE -N notes.txt; echo st=\$?"
    sees '^written inside' || return 1
    pkill -TERM -P "$(outer display-message -p -t p '#{pane_pid}')" -x cofferdam
    sees 'st=1' && sane
}

outer new-session -d -s p -x 100 -y 30 "PS1='PROMPT> ' exec bash --norc" || exit 1
outer set-option -g window-size manual
prompts || exit 1
types "stty -g > before" Enter
prompts
row "vim writes a file" vim_writes
row "vim: Ctrl-Z, fg, another size" vim_stops_and_goes_on
row "less pages and searches" less_pages
row "less behind a pipe has the keys to itself" less_behind_a_pipe
row "htop" htop_runs
row "tmux inside" tmux_runs
row "Ctrl-C" keys_signal
row "cofferdam shell with jobs of its own" shell_inside
row "vim ended by a signal to cofferdam" killed
exit $failed
