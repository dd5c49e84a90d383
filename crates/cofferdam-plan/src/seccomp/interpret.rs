//! Runs a program as the kernel would, for tests that need no kernel.

use super::emit::{RET_ALLOW, RET_ERRNO, RET_NOTIFY};
use super::{Answer, Instruction};

/// `struct seccomp_data`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call {
    pub(super) number: u32,
    pub(super) arch: u32,
    pub(super) arguments: [u64; 6],
}

impl Call {
    fn word(&self, offset: u32) -> Option<u32> {
        let low = |value: u64| u32::try_from(value & 0xFFFF_FFFF).ok();
        match offset {
            0 => Some(self.number),
            4 => Some(self.arch),
            16..64 if offset.is_multiple_of(4) => {
                let argument = *self.arguments.get(usize::try_from((offset - 16) / 8).ok()?)?;
                low(if offset.is_multiple_of(8) { argument } else { argument >> 32 })
            }
            _ => None,
        }
    }
}

/// The answer; `None` where the program is one that the kernel would not take.
pub(super) fn run(program: &[Instruction], call: &Call) -> Option<Answer> {
    let (mut at, mut hand) = (0_usize, 0_u32);
    loop {
        let Instruction { code, jt, jf, k } = *program.get(at)?;
        at += 1;
        let holds = match code {
            0x20 => {
                hand = call.word(k)?;
                continue;
            }
            0x54 => {
                hand &= k;
                continue;
            }
            0x05 => {
                at += usize::try_from(k).ok()?;
                continue;
            }
            0x06 if k == RET_ALLOW => return Some(Answer::Allow),
            0x06 if k == RET_NOTIFY => return Some(Answer::Notify),
            0x06 if k & 0xFFFF_0000 == RET_ERRNO => {
                return u16::try_from(k & 0xFFFF).ok().map(Answer::Errno);
            }
            0x15 => hand == k,
            0x35 => hand >= k,
            0x45 => hand & k != 0,
            _ => return None,
        };
        at += usize::from(if holds { jt } else { jf });
    }
}
