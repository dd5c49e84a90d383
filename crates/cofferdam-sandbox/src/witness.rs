//! Who hears of what happens in a sandbox in which nothing does.

use std::os::fd::BorrowedFd;
use std::path::Path;

use cofferdam_plan::message::{Denied, Ended, Question};

use crate::controls::{Kept, Leak, Stream};
use crate::gateway::{Witness, Word};

/// Of a sandbox without a gateway, a broker, guarded mounts and canaries.
pub(crate) struct Nobody;

impl Witness for Nobody {
    fn fell(&mut self, _: &Path, _: bool) {}
    fn denied(&mut self, _: Denied) {}
    fn has_room(&mut self, _: u32) -> bool {
        false
    }
    fn ended(&mut self, _: Ended) {}
    fn gateway_gone(&mut self) {}
    fn bell(&self) -> Option<BorrowedFd<'_>> {
        None
    }
    fn word(&mut self) -> Option<Word> {
        None
    }
    fn not_taken(&mut self, _: &Word) {}
    fn applied(&mut self, _: u32) {}
    fn unread(&mut self, _: String, _: String) {}
    fn refreshed(&mut self, _: String, _: String) {}
    fn asks(&mut self, _: Question) {}
    fn asks_no_more(&mut self, _: u64) {}
    fn leaks(&mut self, _: Leak) {}
    fn kept(&mut self, _: Stream, _: Kept) {}
}
