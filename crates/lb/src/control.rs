//! How reals are: what checks said of them, which are drained, which are starting. Time is told, never asked for.

use crate::{
    config::{Config, Name, Real, Vip},
    wanted::Standing,
};
use alveary_diag::did_you_mean;
use alveary_sort::{Gather, Sort};
use std::{
    collections::BTreeMap,
    hash::{DefaultHasher, Hash as _, Hasher as _},
    sync::Arc,
    time::{Duration, Instant},
};

/// What is known of a real's health.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Health {
    /// It is not checked.
    Unchecked,
    /// No check has said anything yet: it is taken for what it was before, if anything was.
    Unknown {
        /// Packets went there before this process began.
        before: bool,
    },
    /// It is well.
    Up,
    /// It is not, and why.
    Down(String),
}

/// A real, as it is.
#[derive(Clone, Debug)]
pub struct State {
    /// Its health.
    pub health: Health,
    /// Checks in a row that said otherwise.
    against: u32,
    /// Since when it gets all its weight, or will by its slow start.
    began: Option<Instant>,
    /// It is drained until then; then its connections end.
    pub drained: Option<Instant>,
    /// What the last check said, and how long it took.
    pub last: Option<Box<(Result<(), String>, Duration)>>,
    /// The device that it is behind is not there: it gets nothing.
    pub lost: bool,
    /// Where it is: what is there says nothing of another place.
    at: u64,
    /// Which of all that were ever known it is; what was asked about another one says nothing of it.
    pub life: u64,
}

/// Where a real is: its address, its port, and the way there. Of a hundred thousand a number each is enough.
fn at(real: &Real) -> u64 {
    let mut hasher = DefaultHasher::new();
    (real.address, real.port, real.forward).hash(&mut hasher);
    hasher.finish()
}

/// Parts of a weight that a starting real begins with, of a thousand.
const FIRST_SHARE: u16 = 100;
/// Steps in which a starting real gets its weight.
const STEPS: u32 = 10;

/// What a check has changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Word {
    /// Nothing that anybody would be told.
    Same,
    /// The first word of a real that is down; it got nothing before.
    DownFromTheStart,
    /// Packets go elsewhere by that, or come back.
    Turned,
}

/// All reals of a configuration.
#[derive(Clone, Debug, Default)]
pub struct Control {
    /// By VIP; of each, by the names of its reals, in their order. Who keeps an earlier state of all shares what is the same.
    states: BTreeMap<String, Arc<Vec<(Name, State)>>>,
    /// How many reals were ever known.
    lives: u64,
}

impl Control {
    /// Takes a configuration: reals that stay are as they were, others are new; who is elsewhere now begins anew, and
    /// stays drained if it was. `before` says of those that are checked whether packets went there before, `drained` whether
    /// they were drained.
    pub fn configure(
        &mut self,
        config: &Config,
        now: Instant,
        before: &dyn Fn(usize, usize) -> bool,
        drained: &dyn Fn(usize, usize) -> bool,
    ) {
        let mut states = BTreeMap::new();
        for (number, vip) in config.vips.iter().enumerate() {
            let old = self.states.remove(&vip.name).unwrap_or_default();
            let mut own = Vec::with_capacity(vip.reals.len());
            let mut same = old.len() == vip.reals.len();
            for (index, real) in vip.reals.iter().enumerate() {
                let named = place(&old, &real.name).map(|known| &old[known].1);
                let known = named.filter(|state| state.at == at(real)).cloned();
                same &= known.is_some();
                let mut state = known.unwrap_or_else(|| {
                    self.lives += 1;
                    State {
                        health: Health::Unknown { before: before(number, index) },
                        against: 0,
                        began: None,
                        drained: match named {
                            Some(named) => named.drained,
                            None => drained(number, index).then(|| now + vip.drain),
                        },
                        last: None,
                        lost: false,
                        at: at(real),
                        life: self.lives,
                    }
                });
                let health = match (&vip.check, &state.health) {
                    (None, Health::Unchecked) => None,
                    (None, _) => Some(Health::Unchecked),
                    (Some(_), Health::Unchecked) => Some(Health::Unknown { before: true }),
                    (Some(_), _) => None,
                };
                if let Some(health) = health {
                    (state.health, same) = (health, false);
                }
                own.push((real.name.clone(), state));
            }
            own.order_by(|(one, _), (other, _)| one.cmp(other));
            states.insert(vip.name.clone(), if same { old } else { Arc::new(own) });
        }
        self.states = states;
    }

    /// Notes which reals are behind devices that there are not.
    pub fn look(&mut self, config: &Config, is_there: &dyn Fn(&str) -> bool) {
        for vip in &config.vips {
            let Some(states) = self.states.get_mut(&vip.name) else { continue };
            for real in &vip.reals {
                let lost = config.device_of(real).is_some_and(|device| !is_there(device));
                if let Some(place) = place(states, &real.name)
                    && states[place].1.lost != lost
                {
                    Arc::make_mut(states)[place].1.lost = lost;
                }
            }
        }
    }

    /// What a check said, and what has changed by that.
    pub fn checked(&mut self, vip: &Vip, real: &str, said: Result<(), String>, took: Duration, now: Instant) -> Word {
        let Some(check) = &vip.check else { return Word::Same };
        let Some(states) = self.states.get_mut(&vip.name) else { return Word::Same };
        let Some(state) = place(states, real).map(|place| &mut Arc::make_mut(states)[place].1) else {
            return Word::Same;
        };
        state.last = Some(Box::new((said.clone(), took)));
        let (up, first) = match &state.health {
            Health::Unchecked => return Word::Same,
            Health::Unknown { before } => (*before, true),
            Health::Up => (true, false),
            Health::Down(_) => (false, false),
        };
        if said.is_ok() == up {
            state.against = 0;
            let word = if first && !up { Word::DownFromTheStart } else { Word::Same };
            match said {
                Ok(()) => state.health = Health::Up,
                Err(why) => state.health = Health::Down(why),
            }
            return word;
        }
        state.against += 1;
        // Who was never looked at is what the first look says; who had connections before has the patience of all.
        let enough = if first && !up {
            1
        } else if up {
            check.fall
        } else {
            check.rise
        };
        if state.against < enough {
            return Word::Same;
        }
        state.against = 0;
        match said {
            Ok(()) => {
                state.health = Health::Up;
                state.began = (!first).then_some(now);
            }
            Err(why) => state.health = Health::Down(why),
        }
        Word::Turned
    }

    /// Drains reals of this name (of one VIP, if it is named); gives the VIPs. Their connections end when their VIP's time
    /// is over, or this one.
    ///
    /// # Errors
    /// There is no such real.
    pub fn drain(
        &mut self,
        config: &Config,
        vip: Option<&str>,
        real: &str,
        within: Option<Duration>,
        now: Instant,
    ) -> Result<Vec<String>, String> {
        let mut vips = Vec::new();
        for (of, states) in self.states.iter_mut().filter(|(of, _)| vip.is_none_or(|vip| vip == *of)) {
            let Some(state) = place(states, real).map(|place| &mut Arc::make_mut(states)[place].1) else { continue };
            let own = config.vips.iter().find(|vip| vip.name == *of).map(|vip| vip.drain);
            state.drained = Some(now + within.or(own).unwrap_or_default());
            vips.push(of.clone());
        }
        if vips.is_empty() { Err(self.nobody(vip, real)) } else { Ok(vips) }
    }

    /// Takes that back.
    ///
    /// # Errors
    /// There is no such real, or it is not drained.
    pub fn undrain(&mut self, vip: Option<&str>, real: &str, now: Instant) -> Result<Vec<String>, String> {
        let (mut vips, mut others) = (Vec::new(), Vec::new());
        for (of, states) in self.states.iter_mut().filter(|(of, _)| vip.is_none_or(|vip| vip == *of)) {
            let Some(place) = place(states, real) else { continue };
            let state = &mut Arc::make_mut(states)[place].1;
            if state.drained.take().is_some() {
                state.began = Some(now);
                vips.push(of.clone());
            } else {
                others.push(format!("`{of}`"));
            }
        }
        match (vips.is_empty(), others.is_empty()) {
            (false, _) => Ok(vips),
            (true, false) => Err(format!("the real `{real}` is there and not drained: {}", others.join(", "))),
            (true, true) => Err(self.nobody(vip, real)),
        }
    }

    /// That there is no such real, and what there is.
    fn nobody(&self, vip: Option<&str>, real: &str) -> String {
        let meant = |word: &str, known: &mut dyn Iterator<Item = &str>| {
            let known: Vec<&str> = known.collect();
            // An address is that of a real with a port rather than a misspelt other one.
            let six = format!("[{word}]");
            let has_port = |name: &&&str| {
                name.rsplit_once(':')
                    .is_some_and(|(address, _)| address == six || address == word && !word.contains(':'))
            };
            let meant = known.iter().find(has_port).map(|name| (*name).to_owned());
            let meant = meant.or_else(|| did_you_mean(word, known).map(str::to_owned));
            meant.map_or_else(String::new, |meant| format!("; did you mean `{meant}`?"))
        };
        let names =
            |states: &Arc<Vec<(Name, State)>>| states.iter().map(|(name, _)| name.to_string()).collect::<Vec<_>>();
        let Some(vip) = vip else {
            let all: Vec<String> = self.states.values().flat_map(names).collect();
            return format!("no VIP has a real `{real}`{}", meant(real, &mut all.iter().map(String::as_str)));
        };
        let Some(states) = self.states.get(vip).filter(|states| !states.is_empty()) else {
            let mut vips = self.states.iter().filter(|(_, states)| !states.is_empty()).map(|(of, _)| of.as_str());
            return format!("no VIP with reals is called `{vip}`{}", meant(vip, &mut vips));
        };
        let has = self.states.iter().filter(|(_, states)| place(states, real).is_some());
        let others: Vec<String> = has.map(|(of, _)| format!("`{of}`")).collect();
        if !others.is_empty() {
            return format!("the VIP `{vip}` has no real `{real}`; it is a real of {}", others.join(", "));
        }
        let own = names(states);
        format!("the VIP `{vip}` has no real `{real}`{}", meant(real, &mut own.iter().map(String::as_str)))
    }

    /// Whether none of a VIP's reals gets new connections.
    #[must_use]
    pub fn takes_nobody(&self, vip: &Vip, now: Instant) -> bool {
        !vip.reals.iter().any(|real| self.standing(vip, &real.name, now).share > 0)
    }

    /// Whether each real that is checked was looked at, or known before.
    #[must_use]
    pub fn knows_all(&self) -> bool {
        self.states
            .values()
            .flat_map(|states| states.iter())
            .all(|(_, state)| state.health != Health::Unknown { before: false })
    }

    /// A real of a VIP.
    #[must_use]
    pub fn state(&self, vip: &str, real: &str) -> Option<&State> {
        let states = self.states.get(vip)?;
        place(states, real).map(|place| &states[place].1)
    }

    /// How a real stands now.
    #[must_use]
    pub fn standing(&self, vip: &Vip, real: &str, now: Instant) -> Standing {
        let Some(state) = self.state(&vip.name, real) else { return Standing::GONE };
        let well = match &state.health {
            Health::Unchecked | Health::Up => true,
            Health::Unknown { before } => *before,
            Health::Down(_) => false,
        };
        if !well && !state.lost && matches!(state.health, Health::Unknown { .. }) {
            return Standing::UNKNOWN;
        }
        if !well || state.lost {
            return Standing::GONE;
        }
        match state.drained {
            Some(until) if until <= now => Standing::GONE,
            Some(_) => Standing::DRAINING,
            None => Standing { share: state.share(vip, now), ..Standing::WELL },
        }
    }

    /// When something changes by itself after this moment: a deadline, a step of a slow start.
    #[must_use]
    pub fn next(&self, config: &Config, after: Instant) -> Option<Instant> {
        let slow: BTreeMap<&str, Duration> = config.vips.iter().map(|vip| (&*vip.name, vip.slow_start)).gather();
        let next = |(vip, state): (&str, &State)| {
            let deadline = state.drained.filter(|until| *until > after);
            let step = state.began.zip(slow.get(vip).copied()).and_then(|(began, slow)| next_step(began, slow, after));
            deadline.into_iter().chain(step).min()
        };
        let all = self.states.iter().flat_map(|(vip, states)| states.iter().map(|(_, state)| (vip.as_str(), state)));
        all.filter_map(next).min()
    }
}

/// How many steps of a slow start are over at this moment.
fn steps(began: Instant, slow: Duration, at: Instant) -> u32 {
    let since = at.saturating_duration_since(began);
    let done = (since.as_nanos() * u128::from(STEPS)).checked_div(slow.as_nanos());
    done.map_or(STEPS, |done| done.min(STEPS.into()) as u32)
}

/// When its next step is over.
fn next_step(began: Instant, slow: Duration, after: Instant) -> Option<Instant> {
    let next = steps(began, slow, after) + 1;
    // Not a nanosecond before it: then it would not be over.
    let nanos = (slow.as_nanos() * u128::from(next)).div_ceil(STEPS.into());
    (next <= STEPS).then(|| began + Duration::from_nanos(nanos as u64))
}

/// Where a real of this name stands.
fn place(states: &[(Name, State)], real: &str) -> Option<usize> {
    states.binary_search_by(|(name, _)| name.as_str().cmp(real)).ok()
}

impl State {
    /// Its part of its weight.
    fn share(&self, vip: &Vip, now: Instant) -> u16 {
        let Some(began) = self.began else { return 1000 };
        // In steps, so that tables are not made anew for nothing.
        (steps(began, vip.slow_start, now) as u16 * (1000 / STEPS as u16)).max(FIRST_SHARE)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config(check: &str) -> Config {
        let text = format!(
            "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.0.9\"\n[[vip]]\nname = \"web\"\naddress = \"192.0.2.1\"\nport = 80\n\
             drain = \"60s\"\nslow-start = \"10s\"\n{check}\n[[vip.real]]\nname = \"a\"\naddress = \"10.0.0.1\"\n"
        );
        Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
    }

    const CHECK: &str = "check = { type = \"tcp\", rise = 2, fall = 3 }";

    struct Case {
        config: Config,
        control: Control,
        start: Instant,
    }

    impl Case {
        fn new(check: &str, before: bool) -> Case {
            let (config, start) = (config(check), Instant::now());
            let mut control = Control::default();
            control.configure(&config, start, &|_, _| before, &|_, _| false);
            Case { config, control, start }
        }

        fn at(&self, seconds: u64) -> Instant {
            self.start + Duration::from_secs(seconds)
        }

        fn says(&mut self, up: bool, seconds: u64) -> bool {
            self.word(up, seconds) == Word::Turned
        }

        fn word(&mut self, up: bool, seconds: u64) -> Word {
            let (said, at) = (if up { Ok(()) } else { Err("refused".into()) }, self.at(seconds));
            self.control.checked(&self.config.vips[0], "a", said, Duration::ZERO, at)
        }

        fn standing(&self, seconds: u64) -> Standing {
            self.control.standing(&self.config.vips[0], "a", self.at(seconds))
        }
    }

    #[test]
    fn the_first_check_of_a_new_real_counts_at_once() {
        let mut case = Case::new(CHECK, false);
        assert_eq!(case.standing(0), Standing::UNKNOWN);
        assert!(!case.control.knows_all());
        assert!(case.says(true, 1) && case.control.knows_all());
        assert_eq!(case.standing(1), Standing::WELL, "there was nothing before: it need not start slowly");
    }

    #[test]
    fn who_is_down_from_the_start_is_told_of_once() {
        let mut case = Case::new(CHECK, false);
        assert_eq!([case.word(false, 1), case.word(false, 2)], [Word::DownFromTheStart, Word::Same]);
        let mut case = Case::new(CHECK, true);
        assert_eq!(case.word(true, 1), Word::Same, "that it goes on is nothing new");
    }

    #[test]
    fn who_had_packets_before_is_given_time() {
        let mut case = Case::new(CHECK, true);
        assert_eq!(case.standing(0), Standing::WELL);
        assert!(!case.says(false, 1) && !case.says(false, 2) && case.says(false, 3));
        assert_eq!(case.standing(3), Standing::GONE);
    }

    #[test]
    fn rise_fall_and_slow_start() {
        let mut case = Case::new(CHECK, false);
        case.says(true, 0);
        assert!(!case.says(false, 1) && !case.says(false, 2) && !case.says(true, 3), "three in a row are asked for");
        assert!(!case.says(false, 4) && !case.says(false, 5) && case.says(false, 6));
        assert!(!case.says(true, 7) && case.says(true, 8));
        let shares: Vec<u16> = [8, 9, 11, 13, 17, 18].map(|seconds| case.standing(seconds).share).into();
        assert_eq!(shares, [100, 100, 300, 500, 900, 1000]);
        assert_eq!(case.control.next(&case.config, case.at(9)), Some(case.at(10)));
        assert_eq!(case.control.next(&case.config, case.at(18)), None);
    }

    /// Steps were told from the moment of the question on: who asked more often than there are steps never came to one, and
    /// a real kept a tenth of its weight.
    #[test]
    fn steps_of_a_slow_start_stand_still_however_often_one_asks() {
        let mut case = Case::new(CHECK, false);
        for (second, up) in [(0, true), (1, false), (2, false), (3, false), (4, true), (5, true)] {
            case.says(up, second);
        }
        let (slow, began) = (Duration::from_nanos(9_999_999_999), case.at(5));
        case.config.vips[0].slow_start = slow;
        let (mut at, mut shares) = (began, Vec::new());
        while let Some(next) = case.control.next(&case.config, at) {
            let between = at + (next - at) / 2;
            assert_eq!(case.control.next(&case.config, between), Some(next));
            at = next;
            shares.push(case.control.standing(&case.config.vips[0], "a", at).share);
        }
        assert_eq!(shares, [100, 200, 300, 400, 500, 600, 700, 800, 900, 1000]);
        assert_eq!(at, began + slow);
    }

    /// Who is now there and now not, from check to check, is what it was; who is away for some checks, and comes back for some,
    /// moves its own slots that often and no more often.
    #[test]
    fn a_real_that_flaps_moves_no_more_than_its_patience_lets_it() {
        for (before, standing) in [(true, Standing::WELL), (false, Standing::GONE)] {
            let mut case = Case::new(CHECK, before);
            case.says(before, 0);
            let changes = (1..200).filter(|second| case.says(second % 2 == 0, *second)).count();
            assert_eq!((changes, case.standing(200)), (0, standing));
        }
        // Three times away, twice there: the fastest that it can be heard.
        let mut case = Case::new(CHECK, true);
        case.says(true, 0);
        let changes = (1..=200).filter(|second| case.says((second - 1) % 5 >= 3, *second)).count();
        assert_eq!(changes, 80, "two in five checks");
    }

    #[test]
    fn an_address_is_meant_with_its_port() {
        let reals = ["10.0.1.11", "10.0.1.12", "fc00::1"].map(|address| {
            let port = if address == "10.0.1.11" { "" } else { "port = 81\nforward = \"nat\"\n" };
            format!("[[vip.real]]\naddress = \"{address}\"\n{port}")
        });
        let text = format!(
            "[balancer]\ndevices = [\"eth0\"]\nsource = [\"10.0.9.2\", \"fc00::9\"]\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n{}",
            reals[..2].concat()
        ) + &format!("[[vip]]\naddress = \"2001:db8::1\"\nport = 80\n{}", reals[2]);
        let config = Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let (mut control, now) = (Control::default(), Instant::now());
        control.configure(&config, now, &|_, _| false, &|_, _| false);
        for (said, meant) in [("10.0.1.12", "10.0.1.12:81"), ("fc00::1", "[fc00::1]:81"), ("10.0.1.1", "10.0.1.11")] {
            let why = control.drain(&config, None, said, None, now).expect_err("there is none");
            assert!(why.ends_with(&format!("did you mean `{meant}`?")), "{why}");
        }
    }

    #[test]
    fn a_drained_real_keeps_its_connections_until_the_deadline() {
        let mut case = Case::new("", false);
        assert_eq!(case.standing(0), Standing::WELL, "nobody checks it");
        let (config, at) = (case.config.clone(), case.at(0));
        let refused = |said: Result<Vec<String>, String>| said.expect_err("there is none");
        assert_eq!(
            refused(case.control.drain(&config, None, "aa", None, at)),
            "no VIP has a real `aa`; did you mean `a`?"
        );
        assert_eq!(
            refused(case.control.drain(&config, Some("wbe"), "a", None, at)),
            "no VIP with reals is called `wbe`; did you mean `web`?"
        );
        assert_eq!(refused(case.control.undrain(None, "a", at)), "the real `a` is there and not drained: `web`");
        assert!(!case.control.takes_nobody(&config.vips[0], at));
        assert_eq!(case.control.drain(&config, Some("web"), "a", None, at), Ok(vec!["web".to_owned()]));
        assert!(case.control.takes_nobody(&config.vips[0], at));
        assert_eq!((case.standing(59), case.standing(60)), (Standing::DRAINING, Standing::GONE));
        assert_eq!(case.control.next(&config, case.at(1)), Some(case.at(60)));
        let at = case.at(70);
        assert_eq!(case.control.undrain(None, "a", at), Ok(vec!["web".to_owned()]));
        assert_eq!(case.standing(70).share, 100, "it starts slowly");
        assert!(case.control.undrain(None, "a", at).is_err());
    }

    #[test]
    fn a_new_configuration_forgets_nothing_of_who_stays() {
        let mut case = Case::new(CHECK, false);
        for second in 0..3 {
            case.says(false, second);
        }
        let (config, at) = (case.config.clone(), case.at(5));
        case.control.configure(&config, at, &|_, _| true, &|_, _| true);
        assert_eq!(case.standing(5), Standing::GONE);
        // Elsewhere it is another one, which nobody has looked at; that it is drained was said of its name.
        let mut moved = config.clone();
        let life = |case: &Case| case.control.state("web", "a").expect("it is there").life;
        let first = life(&case);
        case.control.drain(&config, None, "a", None, at).expect("it is there");
        moved.vips[0].reals[0].address = "10.0.0.2".parse().expect("an address");
        case.control.configure(&moved, at, &|_, _| false, &|_, _| false);
        let state = case.control.state("web", "a").expect("it is there");
        assert_eq!(state.health, Health::Unknown { before: false });
        assert!(state.drained.is_some() && state.last.is_none() && state.life != first);
        moved.vips[0].reals[0].port = Some(81);
        let second = life(&case);
        case.control.configure(&moved, at, &|_, _| false, &|_, _| false);
        assert_ne!(life(&case), second);
        case.control.undrain(None, "a", case.at(4)).expect("it was drained");
        // Without a check it is taken for well.
        let unchecked = self::config("");
        case.control.configure(&unchecked, at, &|_, _| true, &|_, _| false);
        case.config = unchecked;
        assert_eq!(case.standing(5), Standing::WELL);
    }
}
