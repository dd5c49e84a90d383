//! Which addresses may be dialled.

use std::net::IpAddr;

use super::fault::{DialFault, Why};
use crate::ranges::{carried, class};

/// Those of `found` that are hosts of the Internet, not this machine's, and denied by no rule.
pub(super) fn only_global(
    found: Vec<IpAddr>,
    denied: &dyn Fn(IpAddr) -> bool,
    own: &dyn Fn(IpAddr) -> bool,
) -> Result<Vec<IpAddr>, DialFault> {
    let mut first = None;
    let mut left = Vec::new();
    for address in found {
        // The address, and the IPv4 address that a translator makes of it.
        let mut reached = [Some(address), carried(address).map(IpAddr::V4)].into_iter().flatten();
        let because = class(address).map(Why::Class).or_else(|| {
            reached.find_map(|address| {
                let denied = denied(address).then_some(Why::Denied);
                denied.or_else(|| own(address).then_some(Why::Own))
            })
        });
        match because {
            Some(because) => first = first.or(Some(DialFault::Forbidden { address, because })),
            None => left.push(address),
        }
    }
    if left.is_empty() { Err(first.unwrap_or(DialFault::NoSuchName)) } else { Ok(left) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing(_: IpAddr) -> bool {
        false
    }

    #[test]
    fn the_first_that_forbids_is_told() {
        let addresses = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        let denied = |address: IpAddr| address == IpAddr::from([8, 8, 4, 4]);
        for (found, want, why) in [
            (&["8.8.8.8", "10.0.0.1"][..], Ok(&["8.8.8.8"][..]), "one is left"),
            (&["10.0.0.1", "127.0.0.1"], Err("10.0.0.1 private"), "none is left"),
            (&["169.254.169.254"], Err("169.254.169.254 metadata"), "a cloud's"),
            (&["8.8.4.4"], Err("8.8.4.4 denied"), "a rule's"),
            (&["64:ff9b::8.8.4.4"], Err("64:ff9b::808:404 denied"), "the same, translated"),
            (&["64:ff9b::8.8.8.8"], Ok(&["64:ff9b::8.8.8.8"]), "another one, translated"),
            (&["8.8.4.4", "1.1.1.1"], Ok(&["1.1.1.1"]), "another one is left"),
        ] {
            let got = only_global(addresses(found), &denied, &nothing).map_err(|fault| {
                let DialFault::Forbidden { address, because } = fault else {
                    panic!("{fault}");
                };
                format!("{address} {}", because.as_str())
            });
            let want = want.map(addresses).map_err(str::to_owned);
            assert_eq!(got, want, "{why}");
        }
        assert!(
            only_global(addresses(&["8.8.4.4"]), &nothing, &nothing).is_ok(),
            "no rule denies it"
        );
        assert_eq!(only_global(Vec::new(), &nothing, &nothing), Err(DialFault::NoSuchName));
    }
}
