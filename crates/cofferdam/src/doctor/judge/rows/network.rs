//! The rows of the network: closed, and open for one name.

use cofferdam_plan::synthetic::pair;

use super::super::super::gateway::WORD;
use super::{EACCES, EPERM, Evidence, REPORT, Row, State, Want};

/// Whatever the kernel says of a network without a route.
const CLOSED: &[i32] = &[111, 101, 113, 99, EPERM, EACCES];

impl Evidence {
    pub(super) fn network(&self) -> Row {
        let wants = [Want::Works("own-loopback"), Want::Fails("host-loopback", CLOSED)];
        let found = "a server on the host's loopback is out of reach; the sandbox has its own";
        self.of_trial(found, &wants, || match self.singles.worked("net") {
            true => Row::unknown("a network namespace can be made, but no sandbox stood"),
            false => self.of_singles("", &["net"]),
        })
    }

    /// A sandbox of one allowed name: what is allowed works, and nothing else does.
    pub(super) fn gateway(&self) -> Row {
        let trial = match &self.gateway {
            Some(Ok(trial)) => trial,
            Some(Err(refused)) => {
                return Row::absent(
                    format!("`run --allow` is refused here: {}: {refused}", refused.code()),
                    refused.hint(),
                );
            }
            None => return Row::unknown("no sandbox stood"),
        };
        // The first name of a policy has the first addresses; without them no answer is theirs.
        let address = pair(0).map(|(v4, _)| v4.to_string()).unwrap_or_default();
        let denied = || "403 host-not-allowed".to_owned();
        let wants = [
            Want::Says("allowed-direct", WORD.into()),
            Want::Says("allowed-proxied", format!("200 {WORD}")),
            Want::Says("allowed-lookup", address),
            Want::Says("denied-proxied", denied()),
            Want::Says("denied-lookup", "code 3, 0 answers".into()),
            Want::Says("host-proxied", denied()),
            Want::Fails("host-loopback", CLOSED),
        ];
        let found = "one allowed name is reached, directly and by the proxy; another has no address \
                     and no tunnel, nor has the host's loopback";
        match (Self::said(trial, found, &wants), &trial.fault) {
            // What came out otherwise is the better reason.
            (row, Some(fault)) if row.state != State::Absent => {
                Row::absent(format!("a sandbox with a gateway was built, but {fault}"), REPORT)
            }
            (row, _) => row,
        }
    }
}
