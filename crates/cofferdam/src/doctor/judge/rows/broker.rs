//! The rows of the broker: whether the kernel hands it calls, and what it answers.

use cofferdam_plan::Refusal;
use cofferdam_plan::host::Listening;
use cofferdam_sandbox::refusal::errno_text;

use super::{EACCES, EBUSY, ENOENT, EPERM, Evidence, REPORT, Row, State, Want};

impl Evidence {
    pub(super) fn seccomp_notify(&self) -> Row {
        let refused = |refusal: Refusal| Row::absent(refusal.to_string(), refusal.hint());
        match (self.host.listening, self.host.yama_ptrace_scope) {
            (Listening::Unknown, _) => return refused(Refusal::BrokerUnknown),
            (Listening::Taken, _) => return refused(Refusal::BrokerTaken),
            (Listening::Refused(errno), _) => return refused(Refusal::BrokerRefused { errno }),
            (Listening::Ready, Some(scope @ 2..)) => {
                return refused(Refusal::BrokerBlind { scope });
            }
            (Listening::Ready, Some(_) | None) => {}
        }
        // The kernel's word is one thing, an attempt another.
        match self.notify.of("listener") {
            Some(Ok(_)) => Row::enforced("the kernel hands calls to a supervisor of ours"),
            Some(Err(EBUSY)) => refused(Refusal::BrokerTaken),
            Some(Err(errno)) => Row::absent(
                format!("no supervisor can be had: {}", errno_text(errno)),
                self.remedy("seccomp", errno),
            ),
            None => Row::unknown("the probe did not answer"),
        }
    }

    /// A sandbox that holds names: those stay as they are, and all others do not.
    pub(super) fn broker(&self) -> Row {
        let trial = match &self.broker {
            Some(Ok(trial)) => trial,
            Some(Err(refused)) => {
                return Row::absent(
                    format!("`run` is refused for such a policy: {}: {refused}", refused.code()),
                    refused.hint(),
                );
            }
            None => return Row::unknown("no sandbox stood"),
        };
        if trial.leaked {
            return Row::absent("inside, a protected name was made or an old file lost", REPORT);
        }
        let wants = [
            Want::Fails("create-protected", &[EACCES]),
            Want::Works("create-beside"),
            Want::Fails("look-hidden", &[ENOENT]),
            Want::Fails("read-hidden", &[ENOENT]),
            Want::Works("read-beside"),
            Want::Fails("remove-old", &[EPERM]),
            Want::Fails("rename-old", &[EPERM]),
            Want::Works("add-to-old"),
            Want::Works("remove-made"),
            Want::Works("end"),
        ];
        let found = "a protected name that is not there cannot be made, a hidden one is absent, an \
                     old file is kept; names beside them work";
        match (Self::said(trial, found, &wants), &trial.fault) {
            // What came out otherwise is the better reason.
            (row, Some(fault)) if row.state != State::Absent => {
                Row::absent(format!("a sandbox with a broker was built, but {fault}"), REPORT)
            }
            (row, _) => row,
        }
    }
}
