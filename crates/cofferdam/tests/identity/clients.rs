//! Programs that people use, with what stands in for a credential: they work, the origin sees the real
//! one, and the sandbox never has it.

mod aws;
mod fetched;
mod git;
mod npm;
mod sdks;

use crate::internet::{Internet, Request};
use crate::lodging::BOTH;
use crate::support::{Place, Ran, finish};

/// How long a client may take. Seconds.
const WATCHDOG_SECONDS: u32 = 60;

/// A client, and what it is lent.
pub(crate) struct Client<'a> {
    pub(crate) name: &'a str,
    pub(crate) secret: &'a str,
    /// Somebody else's, of the same kind.
    pub(crate) others: &'a str,
    pub(crate) rules: String,
    /// Shell that puts `$KEY` where the client reads it: what a policy does inside.
    pub(crate) plants: &'a str,
    /// Shell that works with what it finds there, and fails where it is refused.
    pub(crate) works: &'a str,
    /// Whether a request shows the origin the real one.
    pub(crate) shows: &'a dyn Fn(&Request) -> bool,
}

impl Client<'_> {
    /// Without a wall, and then inside, each way: with its own, and with another's.
    #[track_caller]
    pub(crate) fn bears(&self, net: &Internet) {
        let name = self.name;
        net.forget();
        // Not below what is looked through for the secret.
        let home = Place::new();
        let script = format!("{}\n{}", self.plants, self.works);
        let mut control = net.command_within(WATCHDOG_SECONDS, "sh");
        control.env("HOME", &home.home).env("KEY", self.secret).args(["-c", &script]);
        finish(&mut control).works(&format!("{name}: without a wall"));
        drop(home);
        self.is_shown(net, "without a wall");
        for (way, before) in BOTH {
            net.forget();
            let ran = self.inside(net, &format!("{before}\n{}", self.works));
            let events = net.events("connection");
            let ran = ran.works(&format!("{name}, {way}: {:?}", events.last()));
            self.is_shown(net, way);
            net.holds_no_secret(&ran, self.secret);
            net.forget();
            let told = net.events("connection").len();
            let key = format!("{before}\nexport KEY='{}'", self.others);
            let ran = self.inside(net, &format!("{key}\n{script}"));
            assert!(!matches!(ran.status, Some(0 | 125) | None), "{name}, {way}: refused: {ran:?}");
            let asked = net.asked();
            assert!(asked.is_empty(), "{name}, {way}: the origin saw something: {asked:?}");
            let told = net.events("connection").split_off(told);
            let alarms = told.iter().filter(|event| event["code"] == "foreign-credential");
            assert!(alarms.count() > 0, "{name}, {way}: {told:?}: {ran:?}");
        }
    }

    fn inside(&self, net: &Internet, script: &str) -> Ran {
        let mut command = net.lent(WATCHDOG_SECONDS, &self.rules);
        finish(command.env("API_SECRET", self.secret).args(["sh", "-c", script]))
    }

    #[track_caller]
    fn is_shown(&self, net: &Internet, way: &str) {
        let asked = net.asked();
        let heads: Vec<&str> = asked.iter().map(|one| one.head.as_str()).collect();
        let shown = asked.iter().filter(|one| (self.shows)(one)).count();
        assert!(shown > 0, "{}, {way}: the origin saw the real one: {heads:?}", self.name);
    }
}

/// The values of a field of a request, in order.
pub(crate) fn field<'a>(request: &'a Request, name: &str) -> Vec<&'a str> {
    let lines = request.head.lines().skip(1).filter_map(|line| line.split_once(':'));
    let named = lines.filter(|(its, _)| its.eq_ignore_ascii_case(name));
    named.map(|(_, value)| value.trim()).collect()
}

/// Whether a program is there; says so where not.
pub(crate) fn has(net: &Internet, program: &str) -> bool {
    let has = net.outside(&["sh", "-c", &format!("command -v {program}")]).status == Some(0);
    if !has {
        println!("not run: {program} with a stand-in: it is not installed");
    }
    has
}
