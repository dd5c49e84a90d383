//! What is otherwise for a workload under gVisor's kernel than under the host's, in words: what the table of
//! conformance (`tests/conformance/`) finds.

use cofferdam_policy::model::{Clause, Policy};

use super::{OWN_THREADS, PRIVATE, is_around, is_ephemeral};
use crate::coverage::{Coverage, Extent};
use crate::native::cover::row;

const KERNEL: &str = "gVisor's kernel";

/// Rows besides the native ones.
pub(super) fn rows(policy: &Policy) -> Vec<Coverage> {
    let mut rows = vec![
        row(
            &Clause::built_in("kernel.inside"),
            "what gVisor's kernel does not have or does not let be is denied with errors of its own",
            &[KERNEL],
            Extent::Enforced,
        ),
        row(
            &Clause::built_in("kernel.inside"),
            "namespaces, processes, users, keys, terminals, messages of the kernel and /sys are gVisor's own, and \
             the command is its process 1",
            &[KERNEL],
            Extent::Partly {
                open:
                    "inside of it the workload may make namespaces and have every capability there"
                        .into(),
            },
        ),
        row(
            &Clause::built_in("audit"),
            "what gVisor's kernel denies, it denies by itself",
            &[],
            Extent::Partly { open: "it leaves no event: gVisor's kernel tells nobody".into() },
        ),
        row(
            &Clause::built_in("limits"),
            "the control group counts gVisor's kernel with the workload",
            &["cgroup, where there is one"],
            Extent::Partly {
                open: format!(
                    "limits.processes is counted in processes and threads of gVisor's, for which {OWN_THREADS} \
                     more can be; one that is met, of processes or memory, may end the whole sandbox"
                ),
            },
        ),
    ];
    if is_ephemeral(policy) {
        let open = "in memory, set-user-ID modes and devices can be made: they are gVisor's and end with the run";
        rows.push(row(
            &Clause::built_in("filesystem.modes"),
            "no mode, device or owner of a file of the host's changes",
            &["read-only outside"],
            Extent::Partly { open: open.into() },
        ));
    }
    rows.extend(PRIVATE.iter().filter(|place| is_around(policy, place)).map(|place| {
        row(
            &Clause::built_in("limits.private_size"),
            format!("{place} has the workspace or the home in it, and lies with it in the layer in memory"),
            &[KERNEL],
            Extent::Partly { open: format!("{place} is bounded by memory alone") },
        )
    }));
    rows
}
