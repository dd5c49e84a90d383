//! Pieces of classic BPF that each end in an answer on every path, so that they nest freely.

use super::{Answer, ENOSYS, Instruction};

/// `BPF_LD | BPF_W | BPF_ABS`: a word of `struct seccomp_data`.
const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
const AND: u16 = 0x54;
/// `BPF_JMP | BPF_JA`.
const SKIP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
const EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGE | BPF_K`.
const AT_LEAST: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`.
const ANY_BIT: u16 = 0x45;
/// `BPF_RET | BPF_K`.
const RETURN: u16 = 0x06;

/// `SECCOMP_RET_ALLOW`, `SECCOMP_RET_USER_NOTIF` (Linux 5.0) and `SECCOMP_RET_ERRNO`.
pub(super) const RET_ALLOW: u32 = 0x7FFF_0000;
pub(super) const RET_NOTIFY: u32 = 0x7FC0_0000;
pub(super) const RET_ERRNO: u32 = 0x0005_0000;

/// Instructions of which every path returns.
#[derive(Clone, Debug)]
pub(super) struct Fragment(pub(super) Vec<Instruction>);

const fn plain(code: u16, k: u32) -> Instruction {
    Instruction { code, jt: 0, jf: 0, k }
}

pub(super) fn answer(answer: Answer) -> Fragment {
    let value = match answer {
        Answer::Allow => RET_ALLOW,
        Answer::Notify => RET_NOTIFY,
        Answer::Errno(errno) => RET_ERRNO | u32::from(errno),
    };
    Fragment(vec![plain(RETURN, value)])
}

fn after(first: Instruction, rest: Fragment) -> Fragment {
    Fragment(std::iter::once(first).chain(rest.0).collect())
}

/// With the system call's number in hand.
pub(super) fn load_number(then: Fragment) -> Fragment {
    after(plain(LOAD, 0), then)
}

/// With the architecture in hand.
pub(super) fn load_arch(then: Fragment) -> Fragment {
    after(plain(LOAD, 4), then)
}

/// With the low 32 bits of an argument in hand: what the kernel reads of an `int`.
pub(super) fn argument(index: u8, then: Fragment) -> Fragment {
    after(plain(LOAD, 16 + 8 * u32::from(index)), then)
}

/// Whether all 64 bits of an argument are 0: a pointer is.
pub(super) fn is_null(index: u8, yes: Fragment, no: &Fragment) -> Fragment {
    let high = plain(LOAD, 20 + 8 * u32::from(index));
    let upper = after(high, equal(0, yes, no.clone()));
    argument(index, equal(0, upper, no.clone()))
}

/// With only the bits of `mask` left in hand.
pub(super) fn masked(mask: u32, then: Fragment) -> Fragment {
    after(plain(AND, mask), then)
}

fn branch(code: u16, k: u32, yes: Fragment, no: Fragment) -> Fragment {
    let skip = yes.0.len();
    let mut out = Vec::with_capacity(skip + no.0.len() + 2);
    match u8::try_from(skip) {
        Ok(jf) => out.push(Instruction { code, jt: 0, jf, k }),
        Err(_) => {
            out.push(Instruction { code, jt: 1, jf: 0, k });
            // A program has at most 4096 instructions, so this never saturates.
            out.push(plain(SKIP, u32::try_from(skip).unwrap_or(u32::MAX)));
        }
    }
    out.extend(yes.0);
    out.extend(no.0);
    Fragment(out)
}

pub(super) fn equal(k: u32, yes: Fragment, no: Fragment) -> Fragment {
    branch(EQUAL, k, yes, no)
}

pub(super) fn at_least(k: u32, yes: Fragment, no: Fragment) -> Fragment {
    branch(AT_LEAST, k, yes, no)
}

/// Whether any bit of `mask` is set.
pub(super) fn bits(mask: u32, yes: Fragment, no: Fragment) -> Fragment {
    branch(ANY_BIT, mask, yes, no)
}

/// Whether what is in hand is one of `values`.
pub(super) fn any_of(values: &[u32], yes: &Fragment, no: Fragment) -> Fragment {
    values.iter().rev().fold(no, |no, value| equal(*value, yes.clone(), no))
}

/// Binary search over runs of numbers, of which the first begins at 0.
pub(super) fn search(runs: &[(u32, Fragment)]) -> Fragment {
    match runs {
        [] => answer(Answer::Errno(ENOSYS)),
        [(_, then)] => then.clone(),
        _ => {
            let (low, high) = runs.split_at(runs.len() / 2);
            let pivot = high.first().map_or(0, |(from, _)| *from);
            at_least(pivot, search(high), search(low))
        }
    }
}
