//! Machines that can have no broker.

use super::situations::{NOTHING, contained, with_abi, without};
use super::support::Place;
use super::{agree, doctor, run};

#[test]
fn below_another_supervisor_there_is_no_broker() {
    let place = Place::new();
    agree(&place, &with_abi(7), "seccomp-notify", "broker-taken");
    // A filter without one leaves room.
    let around = without(&place, 9999, 1);
    doctor(&place, &around).says("seccomp-notify", "enforced", "");
    assert_eq!(run(&place, &around), None, "the control");
    doctor(&place, NOTHING).says("seccomp-notify", "enforced", "");
}

/// Older kernels do not know the flag that keeps a call from being made twice.
#[test]
fn an_old_kernel_has_no_broker() {
    let place = Place::new();
    agree(&place, &without(&place, 317, 22), "seccomp-notify", "broker-unknown");
    agree(&place, &without(&place, 317, 1), "seccomp-notify", "broker-refused");
}

/// Yama's setting, in a container whose `/proc/sys/kernel` is the test's.
#[test]
fn where_nobody_reads_another_there_is_no_broker() {
    let place = Place::new();
    let around = |scope: u8| {
        let at = "/proc/sys/kernel";
        let before = format!(
            "mount -t tmpfs none {at} && mkdir {at}/yama && echo {scope} > {at}/yama/ptrace_scope"
        );
        contained(&before)
    };
    agree(&place, &around(2), "seccomp-notify", "broker-blind");
    let (_, hint) = run(&place, &around(3)).unwrap();
    assert!(hint.contains("reboot"), "{hint}");
}
