//! Plans of rules about hosts and requests.

use cofferdam_plan::message::StandIn;

use super::*;

/// Names have addresses, ports of their own have sockets on these, and a name of which nothing is left
/// has neither; without IPv6 there is none of it.
#[test]
fn hosts_that_are_allowed() {
    let facts = facts(&ORDINARY, &[]);
    check("hosts", &planned(HOSTS, &facts, &host()));
    let plan = planned(HOSTS, &facts, &Host { ipv6: false, ..host() });
    let egress = plan.egress.unwrap();
    assert!(egress.doors.iter().all(|door| door.socket.family() == Family::V4));
    assert!(egress.doors.iter().any(|door| door.serves == Serves::Destinations));
}

const REQUESTS: &str = "[network]\ntrust_ca = ['ca.pem']\n\
    [[network.allow]]\nhost = 'api.good.test'\nmethods = ['GET']\npaths = ['/v1/**', '/@s%2Fn']\n\
    query = ['page=*']\nheaders = { accept = 'application/*' }\nremove_headers = ['x-a']\n\
    set_headers = { x-b = 'c' }\nmax_request_bytes = '2MiB'\nmax_response_bytes = 5000\nrate = '60/min'\n\
    [[network.allow]]\nhost = 'git.good.test'\ngit = ['o/r:read', 'o/*:write']\n\
    [[network.allow]]\nhost = 'ql.good.test'\ngraphql = 'query'\n\
    [[network.allow]]\nhost = 'api.good.test'\nrefuse_body = ['mcp_servers', '**.url!=data:*|cid:*']\n\
    [[network.allow]]\nhost = 'ws.good.test'\nwebsocket = true\nquery = []\n\
    [[network.allow]]\nhost = 'clear.good.test'\nports = [80]\nh2c = true\n\
    [[network.allow]]\nhost = 'seen.good.test'\ninspect = 'always'\n\
    [[network.allow]]\nhost = 'opaque.good.test'\ninspect = 'never'\n\
    [[network.allow]]\nhost = 'idle.good.test'\nmethods = ['GET', 'HEAD']\n\
    [[network.allow]]\nhost = 'idle.good.test'\n\
    [[network.deny]]\nhost = 'opaque.good.test'\nmethods = ['DELETE']\n\
    [[network.deny]]\nhost = 'idle.good.test'\npaths = ['/admin/**']\n";

/// What is looked at, what stays open, and a rule that another makes idle.
#[test]
fn requests_that_are_judged() {
    let authority: &[Row] = &[("/home/u/app/ca.pem", Kind::File, None)];
    let plan = planned(REQUESTS, &facts(&ORDINARY, authority), &host());
    let of_network = |row: &&cofferdam_plan::Coverage| row.clause.name.starts_with("network");
    assert_eq!(
        plan.coverage.iter().filter(of_network).count(),
        15,
        "a row each, and one for who believes the session"
    );
    let egress = plan.egress.clone().unwrap();
    assert_eq!(wire::decode(&wire::encode(&egress)), Ok(egress), "patterns are whole");
    check("requests", &plan);
}

/// Who asks about one rule hears what the plan says of it among all others.
#[test]
fn the_row_of_one_rule_is_that_of_the_plan() {
    let authority: &[Row] = &[("/home/u/app/ca.pem", Kind::File, None)];
    for (text, there, count) in [(REQUESTS, authority, 12), (HOSTS, &[], 6)] {
        let (document, facts) = (document(text), facts(&ORDINARY, there));
        let policy = resolve(&document, &facts).unwrap();
        let all = compile(&policy, &host(), Task::default()).unwrap();
        let rows = Rows::ButHosts;
        let others = compile(&policy, &host(), Task { rows, ..Task::default() }).unwrap();
        let one = |row: &cofferdam_plan::Coverage| host_row(&policy, &row.clause);
        let mut asked = 0;
        for row in &all.coverage {
            let other = others.coverage.contains(row);
            let found = one(row);
            assert!(found.as_ref().is_none_or(|found| found == row && !other), "{row:?} {found:?}");
            assert!(found.is_some() || other, "{row:?} is of no plan");
            asked += usize::from(found.is_some());
        }
        assert_eq!(asked, count, "each rule for hosts has its row");
        assert_eq!(others.coverage.len() + asked, all.coverage.len());
    }
}

/// A setting of a masked file is named like a variable of a credential's, and there is a file that is masked.
#[test]
fn settings_of_masked_files() {
    const BORNE: &str = "[[network.allow]]\nhost = 'api.good.test'\ncredential = 'api'\n\
        [credentials.api]\nsource = { env = 'X' }\nenv = 'API_KEY'\ninject = { bearer = true }\n";
    let settings = |text: &str| {
        let plan = compiled(&document(text), &facts(&ORDINARY, &[]), &host());
        let made = StandIn { name: "api".into(), value: "stands-in".into() };
        let whole = plan.completed(|_| Vec::new(), &[made]);
        assert_eq!(wire::decode(&wire::encode(&whole)).as_ref(), Ok(&whole), "init reads it");
        assert!(
            whole.workload.masked.iter().all(|one| one.value == "stands-in"),
            "{:?}",
            plan.workload.masked
        );
        let said = |row: &&cofferdam_plan::Coverage| row.says.contains("in a masked file");
        let names: Vec<String> = plan.workload.masked.iter().map(|one| one.name.clone()).collect();
        (names, plan.coverage.iter().filter(said).count())
    };
    let masks = format!("[filesystem]\nmask = ['**/.env']\n{BORNE}");
    assert_eq!(settings(&masks), (vec!["API_KEY".to_owned()], 1));
    assert_eq!(settings(BORNE), (Vec::new(), 0), "nothing is masked");
    assert_eq!(settings("[filesystem]\nmask = ['**/.env']\n"), (Vec::new(), 0), "no credential");
}

/// A policy that only publishes opens nothing outwards.
#[test]
fn servers_that_are_published() {
    let plan = planned("[network]\npublish = ['3000']\n", &facts(&ORDINARY, &[]), &host());
    let egress = plan.egress.unwrap();
    assert!(egress.doors.iter().all(|door| door.serves == Serves::Spare), "{:?}", egress.doors);
    let Some(Step::Fork { aside }) = plan.setup.iter().find(|s| matches!(s, Step::Fork { .. }))
    else {
        panic!("no fork");
    };
    assert!(!aside.iter().any(|part| matches!(part, Aside::EveryAddress { .. })), "{aside:?}");
    assert!(!plan.workload.environment.iter().any(|v| v.name == "HTTP_PROXY"));
}

/// Sockets are bounded: more is a refusal, and on the usual ports there is no bound to meet.
#[test]
fn hosts_without_a_plan() {
    let many = |port: u16| {
        let hosts = (0..200).map(|n| {
            format!(
                "{{ host = 'h{n}.good.test', ports = [{port}, {}], protocol = 'tcp' }}",
                port + 1
            )
        });
        format!("[network]\nallow = [{}]\n", hosts.collect::<Vec<_>>().join(", "))
    };
    let refusal = |text: &str| {
        let source = Source { name: "case.toml".into(), text: format!("version = 1\n{text}") };
        let policy = resolve(&Document::parse(source).unwrap(), &facts(&ORDINARY, &[])).unwrap();
        compile(&policy, &host(), Vec::new()).err().map(|refusal| refusal.code())
    };
    assert_eq!(refusal(&many(8000)), Some("too-many-doors"));
    assert_eq!(refusal(&many(443).replace(", 444]", "]")), None, "a wildcard socket hears them");
}
