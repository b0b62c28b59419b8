//! Checks, when they are due, and what becomes of what they say.

use super::{Event, Server};
use crate::{
    check::check,
    config::{Check, Config},
    control::{Control, Word},
    tunnel::Tunnel,
};
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BinaryHeap},
    net::IpAddr,
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, Sender},
    },
    thread,
    time::{Duration, Instant},
};

/// Checks at once.
const CHECKS: usize = 64;

/// When a real is checked, the numbers of its VIP and itself, and which life of it.
pub(super) type Due = Reverse<(Instant, u32, u32, u64)>;

/// When the reals of a configuration are checked: those that were known by their lives when they were to be `before`, however often
/// the configuration is read; whoever is being `asked` is due when that is over.
pub(super) fn plan(
    config: &Config,
    control: &Control,
    (before, asked): (&BTreeMap<u64, Instant>, &BTreeMap<u64, Instant>),
    now: Instant,
    random: &mut u64,
) -> BinaryHeap<Due> {
    let mut all = BinaryHeap::new();
    for (number, vip) in (0..).zip(&config.vips) {
        let Some(check) = &vip.check else { continue };
        for (index, real) in (0..).zip(&vip.reals) {
            let Some(life) = control.state(&vip.name, &real.name).map(|state| state.life) else { continue };
            if asked.contains_key(&life) {
                continue;
            }
            // The first ones at once, but not all of many in one moment.
            let spread = *random % (check.interval.as_millis() as u64 / 4 + 1);
            *random = xorshift(*random);
            let due = before.get(&life).map(|due| (*due).min(now + check.interval));
            all.push(Reverse((due.unwrap_or(now + Duration::from_millis(spread)), number, index, life)));
        }
    }
    all
}

/// A check that is due.
pub(super) struct Job {
    vip: String,
    real: String,
    life: u64,
    check: Check,
    address: IpAddr,
    port: u16,
    tunnel: Option<Tunnel>,
}

impl Server<'_> {
    /// Has the checks made that are due.
    pub(super) fn checks(&mut self, workers: &mut Workers, now: Instant) {
        while let Some(Reverse((_, number, index, life))) =
            self.due.peek().filter(|Reverse((due, ..))| *due <= now).copied()
        {
            self.due.pop();
            let vip = &self.config.vips[number as usize];
            let (real, Some(check)) = (&vip.reals[index as usize], &vip.check) else { continue };
            self.random = xorshift(self.random);
            let part = f64::from(check.jitter) / 100.0 * ((self.random >> 11) as f64 / (1u64 << 52) as f64 - 1.0);
            // Not before it has answered: those that wait for a thread would become more and more.
            self.asked.insert(life, now + check.interval.mul_f64(1.0 + part));
            let port = check.port.or(real.port).or(vip.ports.first().copied()).unwrap_or_default();
            let job = Job {
                vip: vip.name.clone(),
                real: real.name.to_string(),
                life,
                check: check.clone(),
                address: real.address,
                port,
                tunnel: check.tunnel.then(|| Tunnel::of(&self.config, vip, real, &self.headers)).flatten(),
            };
            workers.take(job, self.asked.len());
        }
    }

    /// What a check of a real said, in this life of it.
    pub(super) fn checked(
        &mut self,
        vip: &str,
        (real, life): (&str, u64),
        said: std::result::Result<(), String>,
        took: Duration,
    ) {
        let next = self.asked.remove(&life);
        // Who went meanwhile, or is elsewhere now, is not who was asked.
        let Some(number) = self.config.vips.iter().position(|one| one.name == vip) else { return };
        let vip = &self.config.vips[number];
        let Some(index) = vip.reals.iter().position(|one| one.name.as_str() == real) else { return };
        if self.control.state(&vip.name, real).is_none_or(|state| state.life != life) {
            return;
        }
        if let Some(next) = next.filter(|_| vip.check.is_some()) {
            self.due.push(Reverse((next, number as u32, index as u32, life)));
        }
        let words = said.clone().map_or_else(|why| format!("down: {why}"), |()| "up".into());
        let word = self.control.checked(vip, real, said, took, Instant::now());
        if word != Word::Same {
            let line = format!("{}: {real} is {words}", vip.name);
            (self.log)(&line);
        }
        if word == Word::Turned {
            self.unsettled.turned(Instant::now());
        }
    }
}

fn xorshift(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}

/// Threads that make checks: a slow real keeps none of the others waiting, unless there are very many of them.
pub(super) struct Workers {
    jobs: Sender<Job>,
    taken: Arc<Mutex<Receiver<Job>>>,
    events: Sender<Event>,
    count: usize,
}

impl Workers {
    /// None yet.
    pub(super) fn new(events: &Sender<Event>) -> Workers {
        let (jobs, taken) = mpsc::channel();
        Workers { jobs, taken: Arc::new(Mutex::new(taken)), events: events.clone(), count: 0 }
    }

    /// Has a check made; so many are being made with it.
    fn take(&mut self, job: Job, at_once: usize) {
        if self.count < at_once.min(CHECKS) {
            self.count += 1;
            self.begin();
        }
        // They live as long as we do.
        let _ = self.jobs.send(job);
    }

    fn begin(&self) {
        let (taken, events) = (self.taken.clone(), self.events.clone());
        thread::spawn(move || {
            loop {
                let job = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(Job { vip, real, life, check: how, address, port, tunnel }) = job else { return };
                let begun = Instant::now();
                let said = check(&how, address, port, tunnel.as_ref());
                if events.send(Event::Checked { vip, real, life, said, took: begun.elapsed() }).is_err() {
                    return;
                }
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        io::Write as _,
        net::{Ipv4Addr, TcpListener},
    };

    /// All were due at once whenever the configuration was read: where etcd has a new one each second, a real that does not
    /// answer was down after `fall` seconds, whatever `interval` says.
    #[test]
    fn who_stays_is_checked_when_it_was_to_be() {
        let config = |interval: &str, reals: &str| {
            let text = format!(
                "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.9.2\"\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n\
                 check = {{ type = \"tcp\", interval = \"{interval}\" }}\nreal = [{reals}]\n"
            );
            Config::read("lb.toml", &text).unwrap_or_else(|faults| panic!("{faults:#?}"))
        };
        let real = |last: u8| format!("{{ address = \"10.0.0.{last}\" }},");
        let (start, mut random, mut control) = (Instant::now(), 1, Control::default());
        let at = |seconds: u64| start + Duration::from_secs(seconds);
        let mut planned = |config: &Config, before: &[u64], asked: &[u64], seconds: u64| {
            control.configure(config, at(seconds), &|_, _| false, &|_, _| false);
            let until = |lives: &[u64]| lives.iter().map(|life| (*life, at(50))).collect();
            let all = plan(config, &control, (&until(before), &until(asked)), at(seconds), &mut random);
            all.into_sorted_vec().into_iter().rev().map(|Reverse((due, _, index, life))| (due, index, life)).collect()
        };
        let first: Vec<_> = planned(&config("1m", &(real(1) + &real(2))), &[], &[], 0);
        assert!(first.len() == 2 && first.iter().all(|(due, ..)| *due <= at(15)), "{first:?}");
        // Another one comes, in front; the second one is being asked.
        let more = planned(&config("1m", &(real(3) + &real(1) + &real(2))), &[1], &[2], 20);
        assert!(more.len() == 2 && more[1] == (at(50), 1, 1) && more[0].0 <= at(35) && more[0].1 == 0, "{more:?}");
        // Nobody waits longer than is said now.
        let sooner = planned(&config("10s", &(real(1) + &real(2))), &[1, 2], &[], 25);
        assert!(sooner.iter().all(|(due, ..)| *due == at(35)), "{sooner:?}");
    }

    /// Their number was that of the reals of the beginning: where VIPs came from etcd eight had to do for all.
    #[test]
    fn checks_are_made_at_once_however_many_there_are() {
        const ALL: usize = 20;
        let text = "[balancer]\ndevices = [\"eth0\"]\n[[vip]]\naddress = \"192.0.2.1\"\nport = 80\n\
                    check = { type = \"http\", interval = \"1m\", timeout = \"30s\" }\n";
        let config = Config::read("lb.toml", text).unwrap_or_else(|faults| panic!("{faults:#?}"));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).expect("a port");
        let (address, port) = (Ipv4Addr::LOCALHOST.into(), listener.local_addr().expect("one").port());
        let (events, told) = mpsc::channel();
        let mut workers = Workers::new(&events);
        for number in 1..=ALL {
            let check = config.vips[0].check.clone().expect("a check");
            let (vip, real, life) = ("web".into(), number.to_string(), number as u64);
            workers.take(Job { vip, real, life, check, address, port, tunnel: None }, number);
        }
        // Nobody is answered before all have asked.
        let asked: Vec<_> = (0..ALL).map(|_| listener.accept().expect("someone").0).collect();
        for mut stream in asked {
            stream.write_all(b"HTTP/1.1 200 OK\r\n\r\n").expect("sent");
        }
        for event in told.iter().take(ALL) {
            assert!(matches!(event, Event::Checked { said: Ok(()), .. }));
        }
        assert_eq!(workers.count, ALL);
    }
}
