//! T01, T03, T04: what a person's terminal gets to read.

use super::*;

const DRIVER: &str = include_str!("../terminal/driver.py");

/// Lets a person do `acts`, with a policy; `R` runs with `--output raw`.
#[track_caller]
fn at_a_terminal(policy: &str, acts: &str, why: &str) {
    let place = place(policy);
    let script =
        format!("{DRIVER}\n{acts}\nassert p.settings() == before, 'the settings'\np.ends()\n");
    let mut command = place.command("/usr/bin/python3");
    command.env("COFFERDAM_BIN", programs());
    finish(command.args(["-c", &script])).works(why);
}

/// Each arrives where a person says so, and does not otherwise.
#[test]
fn t01_what_acts_on_a_terminal_does_not_reach_it() {
    at_a_terminal(
        "",
        r#"
for sent in (r"\033]52;c;ZWNobyBoaQ==\007", r"\033]52;c;?\033\\", r"\033]0;title\007", r"\033]2;title\033\\", r"\033]9;notice\007",
             r"\033]1337;File=:QQ==\007", r"\033]11;#000000\007", r"\033]8;;file:///etc/passwd\007", r"\033Pq#0~\033\\", r"\033_Ga=q\033\\",
             r"\033[8m", r"\033[5i", r"\033c", r"\033[8;1;1t", r"\342\200\256", r"\302\233" + "31m", r"\033[?2048h"):
    raw = p.runs("printf 'x" + sent + "y'").split(b"y")[0].split(b"x", 1)[1]
    for where in ("", " < /dev/null"):
        assert b"x" + raw + b"y" in p.runs(R + "printf 'x" + sent + "y'" + where), (sent, where, "raw")
        shown = p.runs(C + "printf 'x" + sent + "y'" + where)
        assert raw not in shown and (b"xy" in shown or b"x31my" in shown), (sent, where, shown)
# What a list has passes on.
for sent in (b"\x1b[1;31m", b"\x1b[2J", b"\x1b[?25l\x1b[?25h", b"\x1b[38;5;8m", b"\x1b(0q\x1b(B", b"\x1b]8;;https://a.test/\x1b\\z\x1b]8;;\x1b\\"):
    octal = "".join("\\%03o" % byte for byte in sent)
    assert b"x" + sent + b"y" in p.runs(C + "printf 'x" + octal + "y'"), sent
# The clipboard is said, a title is only on record.
assert b"taken out of its output: 1 clipboard" in p.runs(C + r"printf '\033]52;c;QQ==\007'")
assert b"taken out" not in p.runs(C + r"printf '\033]0;title\007'")
shown = p.runs("cofferdam audit show --last 4"); assert b"title 1" in shown, shown
"#,
        "by a list",
    );
}

/// A question that never reaches the terminal has no answer that anybody could read.
#[test]
fn t03_nothing_is_typed_for_whoever_comes_next() {
    at_a_terminal(
        "",
        r#"
import threading
answers = {b"\x1b[6n": b"\x1b[5;5R", b"\x1b[5n": b"\x1b[0n", b"\x1b[c": b"\x1b[?62;4c", b"\x1b[>c": b"\x1b[>1;1;0c", b"\x1b[=c": b"\x1bP!|0\x1b\\",
    b"\x1b[21t": b"\x1b]lrm -rf x\x1b\\", b"\x1b]11;?\x07": b"\x1b]11;rgb:0/0/0\x07", b"\x1b]4;1;?\x07": b"\x1b]4;1;rgb:0/0/0\x07",
    b"\x1bP+q544e\x1b\\": b"\x1bP1+r544e=78\x1b\\", b"\x1bP$qm\x1b\\": b"\x1bP1$r0m\x1b\\", b"\x1b[>q": b"\x1bP>|x\x1b\\", b"\x1b[?2026$p": b"\x1b[?2026;2$y",
    b"\x1b[14t": b"\x1b[4;600;800t", b"\x1b[?u": b"\x1b[?0u", b"\x05": b"answerback\n", b"\x1b]52;c;?\x07": b"\x1b]52;c;eA==\x07"}
passes = {b"\x1b[6n", b"\x1b[5n", b"\x1b[c", b"\x1b[>c"}
asked = []
def seconds(until):
    """Is the terminal: answers each question once, in order, until `until` is seen."""
    end = time.monotonic() + WATCHDOG
    at = 0
    while not re.search(until, p.seen):
        assert time.monotonic() < end and p.more(end - time.monotonic()), (until, p.seen)
        found = sorted((p.seen.find(q, at), q) for q in answers if p.seen.find(q, at) >= 0)
        for place, question in found:
            asked.append(question); p.types(answers[question]); at = max(at, place + len(question))
    return p.sees(until.decode())
for question in answers:
    octal = "".join("\\%03o" % byte for byte in question)
    for where in ("", " < /dev/null"):
        asked.clear()
        p.types(C + "printf '" + octal + "'" + where + "; echo do''ne\n"); p.sees("\n")
        shown = seconds(rb"done\r\n") + p.prompt() + p.runs("echo cl''ean")
        assert b"clean\r\n" in shown and b"answerback" not in shown and b"rm -rf" not in shown, (question, where, shown)
        if where or question not in passes:
            assert asked == [], (question, where, asked)
        else:
            assert asked[0] == question, (question, asked)
# The control: as it is, they arrive.
asked.clear(); p.types(R + r"printf '\033[21t'; echo do''ne" + "\n"); p.sees("\n"); seconds(rb"done\r\n"); p.prompt(); assert asked[0] == b"\x1b[21t", asked
"#,
        "no answer",
    );
}

#[test]
fn a_canary_is_masked_on_a_terminal_and_prompts_come_at_once() {
    at_a_terminal(
        "[canary]\ninvoice = \"no-such-invoice-4711\"",
        r#"
C = "cofferdam run --policy ../../../policy.toml -- "
shown = p.runs(C + "sh -c 'echo before no-such-''invoice-4711 after'"); assert b"before " in shown and b" after" in shown and b"no-such-invoice-4711" not in shown, shown
assert b"alarm: the canary `invoice` was written to the terminal (plain)" in shown, shown
# Split over writes, and by what is taken out.
open("split.sh", "w").write("printf no-such-; printf '\\033]0;t\\007'; printf 'invoice-4711\\n'")
shown = p.runs(C + "sh split.sh"); assert b"invoice-4711" not in shown and b"[alarm]" in shown, shown
# What may be the beginning of one waits for nothing but its rest.
p.types(C + "sh -c 'printf no-; read x; echo got-$x'\n"); p.sees("\n"); p.sees("no-$"); p.types("word\n"); p.sees("got-word"); p.prompt()
"#,
        "on a terminal",
    );
}

#[test]
fn the_end_of_output_is_seen_on_the_screen_that_was_there() {
    at_a_terminal(
        "[output]\nmax_bytes = 2048",
        r#"
shown = p.runs("cofferdam run --policy ../../../policy.toml -- sh -c 'printf \"\\033[?1049h\\033[31m\"; seq 2000; exit 5'; echo st=$?")
mark = shown.find(b"[cofferdam: output ends here: limit of output.max_bytes ("); assert mark > 0, shown
assert 0 < shown.find(b"\x1b[?1049l") < mark and 0 < shown.find(b"\x1b[m") < mark and b"st=5" in shown, shown
"#,
        "a mark",
    );
}

/// A file or a pipe gets every byte, unless the policy says otherwise.
#[test]
fn what_is_no_terminal_is_filtered_where_the_policy_says_so() {
    let script = "printf 'a\\033]52;c;QQ==\\007b\\033[31mc\\n'";
    for (policy, want, why) in [
        ("", "a\u{1b}]52;c;QQ==\u{7}b\u{1b}[31mc\n", "by default"),
        ("[output]\nescape_sequences = \"safe\"", "a\u{1b}]52;c;QQ==\u{7}b\u{1b}[31mc\n", "safe"),
        ("[output]\nescape_sequences = \"always\"", "ab\u{1b}[31mc\n", "always"),
    ] {
        let place = place(policy);
        let ran = inside(&place, &[], script).works(why);
        assert_eq!(ran.out, want, "{why}");
        let taken = usize::from(want.starts_with("ab"));
        assert_eq!(events(&place, "output").len(), taken, "{why}");
    }
}

/// Programs of the whole screen ask, draw, and leave things as they were.
#[test]
fn full_screens_work() {
    at_a_terminal(
        "",
        r#"
import shutil
os.environ["TERM"] = "xterm-256color"
open("text", "w").write("".join(f"line {n}\n" for n in range(1, 200)))
shown = p.runs("export TERM=xterm-256color")
if shutil.which("less"):
    p.types(C + "less text\n"); p.sees("line 1\r?\n"); p.types(b"G"); p.sees("line 199"); p.types(b"q"); p.prompt()
if shutil.which("vim"):
    p.types(C + "vim -u NONE text\n"); p.sees("line 1"); p.types(b"ochanged by hand\x1b:wq\r"); p.sees("written"); p.prompt()
    assert "changed by hand\n" in open("text").read()
"#,
        "less and vim",
    );
}
