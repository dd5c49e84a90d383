//! Timers that the kernel runs: they signal a process that is stopped, too.

use std::io;
use std::mem::MaybeUninit;
use std::time::Duration;

use crate::check;

/// A timer of this process; it goes away when dropped, and with the process.
#[derive(Debug)]
pub struct Timer(libc::timer_t);

impl Timer {
    /// One that will send `signal` to this process (`timer_create(2)`), and counts monotonic time:
    /// not what the machine sleeps. It does not run yet.
    ///
    /// # Errors
    /// `EAGAIN`: this user's limit on pending signals. `EINVAL`: no such signal.
    pub fn new(signal: libc::c_int) -> io::Result<Self> {
        let event = MaybeUninit::<libc::sigevent>::zeroed();
        // SAFETY: a structure of integers and a pointer, for which zeroes are values.
        let mut event = unsafe { event.assume_init() };
        event.sigev_notify = libc::SIGEV_SIGNAL;
        event.sigev_signo = signal;
        let mut timer = MaybeUninit::<libc::timer_t>::zeroed();
        // SAFETY: the event is initialised and only read; `timer` has the room for what is written.
        let answer = unsafe {
            libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, timer.as_mut_ptr())
        };
        check(answer.into())?;
        // SAFETY: written by the call above; zeroed, and so valid, before.
        Ok(Self(unsafe { timer.assume_init() }))
    }

    /// Lets it signal after `first`, and again after each `then` (`timer_settime(2)`). Nanoseconds
    /// count; a `first` of 0 stops it, a `then` of 0 is never.
    ///
    /// # Errors
    /// None that a timer of ours can meet, but for a time past what can be counted.
    pub fn start(&self, first: Duration, then: Duration) -> io::Result<()> {
        let time = |time: Duration| -> io::Result<libc::timespec> {
            let tv_sec = time.as_secs().try_into().map_err(io::Error::other)?;
            Ok(libc::timespec { tv_sec, tv_nsec: time.subsec_nanos().into() })
        };
        let new = libc::itimerspec { it_value: time(first)?, it_interval: time(then)? };
        let old = std::ptr::null_mut();
        // SAFETY: the timer is this value's own until it is dropped; the times are only read, and
        // the old ones are not asked for.
        let answer = unsafe { libc::timer_settime(self.0, 0, &raw const new, old) };
        check(answer.into()).map(drop)
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        // SAFETY: the timer is this value's own, and not named again. That it is gone is no fault.
        unsafe { libc::timer_delete(self.0) };
    }
}
