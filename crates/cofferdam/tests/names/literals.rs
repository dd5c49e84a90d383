//! Addresses in rules: one, and a small block, on ports of their own and on 443; and a denied block that
//! an allowed name leads into.

use crate::internet::{GOOD, GOOD_6, Internet, OTHER};

/// GOOD is 93.184.216.34; the block holds it and three neighbours.
const LITERALS: &str = "
version = 1
[[network.allow]]
host = '93.184.216.34'
[[network.allow]]
host = '93.184.216.34'
ports = [5432]
protocol = 'tcp'
[[network.allow]]
host = '2606:2800:220:1::34'
ports = [5432]
protocol = 'tcp'
[[network.allow]]
host = '93.184.216.32/30'
ports = [8080]
protocol = 'http'
";

const DENIED: &str = "
version = 1
[[network.allow]]
host = '*.test'
ports = [80]
dangerous_wide_wildcard = true
[[network.allow]]
host = 'good.test'
ports = [80]
[[network.deny]]
host = '93.184.216.32/30'
";

#[test]
fn an_address_and_a_block_have_ports_of_their_own() {
    let Some(net) = Internet::take() else { return };
    let echo = |at: &str| {
        format!(
            "import socket\ns = socket.create_connection(('{at}', 5432), 5); s.sendall(b'x'); assert s.recv(1) == b'x'"
        )
    };
    for at in [GOOD, GOOD_6] {
        net.python_inside(LITERALS, &echo(at)).works(at);
        let host = if at == GOOD_6 { format!("[{at}]") } else { at.to_owned() };
        assert_eq!(net.connections(&host), ["direct 5432 allowed - 1"]);
    }
    net.python_outside(&echo(OTHER)).works("without a wall");
    net.python_inside(LITERALS, &echo(OTHER)).fails(&["ECONNREFUSED"], "its neighbour");
    let get = |at: &str| format!("curl -sS --fail --max-time 5 --noproxy '*' http://{at}:8080/");
    for last in 32..36 {
        let at = format!("93.184.216.{last}");
        net.inside(LITERALS, &["sh", "-c", &get(&at)]).works(&at);
        assert_eq!(net.settled().requests_to(&at).len(), 1, "{at}");
    }
    for at in ["93.184.216.31", "93.184.216.36"] {
        net.outside(&["sh", "-c", &get(at)]).works(at);
        net.forget();
        let ran = net.inside(LITERALS, &["sh", "-c", &get(at)]);
        ran.fails(&["connect"], "beside the block");
        let by_proxy = get(at).replace("--noproxy '*'", "--proxy http://198.18.0.1:3128");
        net.inside(LITERALS, &["sh", "-c", &by_proxy]).fails(&["403"], "by the proxy as well");
        assert_eq!((net.hits(at), net.connections(at).len()), (0, 1), "{at}");
    }
}

#[test]
fn an_address_on_443_has_no_name() {
    let Some(net) = Internet::take() else { return };
    let act = |name: &str| format!("assert tls(('{GOOD}', 443), hello({name})) ==");
    for name in ["None", "'good.test'", "'evil.test'"] {
        net.asks_outside(&format!("{} 22", act(name))).works("without a wall");
    }
    net.forget();
    net.asks_inside(LITERALS, &format!("{} 22", act("None"))).works("no name");
    assert_eq!(net.settled().connections_to(GOOD, 443).len(), 1);
    assert_eq!(net.connections(GOOD), ["direct 443 allowed - 1"]);
    net.forget();
    for name in ["'good.test'", "'evil.test'"] {
        net.asks_inside(LITERALS, &format!("{} 21", act(name))).works(name);
        assert_eq!(net.connections(GOOD).last().unwrap(), "direct 443 denied name-mismatch 1");
    }
    assert_eq!(net.seen().packets, []);
}

#[test]
fn a_denied_block_is_not_dialled_whatever_leads_there() {
    let Some(net) = Internet::take() else { return };
    let get = |name: &str| format!("curl -sS --fail --max-time 5 http://{name}/");
    net.outside(&["sh", "-c", &get("four.test")]).works("without a wall");
    assert_eq!(net.hits(GOOD), 1);
    net.forget();
    net.inside(DENIED, &["sh", "-c", &get("four.test")]).fails(&["403"], "its only address");
    assert_eq!(net.connections("four.test"), ["proxy 80 denied forbidden-address 1"]);
    assert_eq!(net.seen().packets.iter().filter(|one| one.protocol == 6).count(), 0);
    // Of a name with two addresses the other one is left.
    net.inside(DENIED, &["sh", "-c", &get("good.test")]).works("by IPv6");
    assert_eq!((net.hits(GOOD), net.hits(GOOD_6)), (0, 1));
    net.answer("beside.test", &["A 93.184.216.36"]);
    net.inside(DENIED, &["sh", "-c", &get("beside.test")]).works("beside the block");
    assert_eq!(net.hits("93.184.216.36"), 1);
    net.forget();
    net.inside(DENIED, &["sh", "-c", &get(GOOD)]).fails(&["403"], "by itself");
    assert_eq!(net.connections(GOOD), ["proxy 80 denied host-denied 1"]);
    assert_eq!(net.hits(GOOD), 0);
}
