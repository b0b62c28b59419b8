//! A balancer that is served: its configuration followed, its reals checked, questions answered. All changes are made by
//! one thread; checks and conversations have theirs.
//!
//! | file | holds |
//! |---|---|
//! | `answers` | what the API answers |
//! | `begin` | how it begins |
//! | `checks` | checks, when they are due |
//! | `devices` | devices that come and go |
//! | `end` | how it ends |
//! | `follow` | the configuration, followed: the file, and the VIPs in etcd |
//! | `unsettled` | when the data plane is brought to what is wanted |

mod answers;
mod begin;
mod checks;
mod devices;
mod end;
mod follow;
mod unsettled;

use crate::{
    Result,
    announce::{Announcer, served},
    api::{self, Doors},
    apply::Changed,
    config::{self, Config, Limits},
    control::Control,
    etcd::News,
    http::{Answer, Request},
    instance::Instance,
    owner::Owner,
    places::Places,
    shared::{self, Shared},
    sync::Peers,
    tunnel::Headers,
    wanted::{Standing, Wanted, wanted},
    wire::{self, Way, flag},
};
use alveary::kernel::signal::{Asked, Orders};
use alveary_sort::Gather;
use checks::{Due, Workers, plan};
use devices::{Seen, indexes};
use end::Ending;
use follow::modified;
use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};
use unsettled::Unsettled;

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// When it is tried again what could not be done.
const AGAIN: Duration = Duration::from_secs(5);
/// How long who has asked for the end may take to hear that it has come.
const FAREWELL: Duration = Duration::from_secs(2);

/// What a served balancer is told.
enum Event {
    Checked { vip: String, real: String, life: u64, said: std::result::Result<(), String>, took: Duration },
    Asked(Request, Sender<Answer>),
    Signal(Asked),
    Said(String),
    Shared(News),
}

/// A balancer that is served.
pub struct Server<'l> {
    path: PathBuf,
    config: Config,
    control: Control,
    instance: Instance,
    wanted: Wanted,
    /// The devices that the configuration names.
    seen: Seen,
    /// Why the program is not on some of them.
    not_attached: Vec<String>,
    /// It is on none of them.
    blind: bool,
    /// Reals that are no longer wanted, and until when their connections go on.
    leaving: BTreeMap<wire::Real, Instant>,
    changed: Option<SystemTime>,
    unsettled: Unsettled,
    /// Why it could not be.
    why_not: Option<String>,
    /// When each real is checked next: those that are not being asked now.
    due: BinaryHeap<Due>,
    /// Those that are, by their lives, and when they will be next.
    asked: BTreeMap<u64, Instant>,
    /// What checks through the tunnel go by.
    headers: Arc<Headers>,
    random: u64,
    /// VIPs that are in etcd, and how it is with that.
    shared: Option<(Shared, shared::Standing)>,
    /// What etcd had last, if it was refused: it may be right with another file beside it.
    refused: Option<Shared>,
    peers: Option<Peers>,
    announcer: Option<Announcer>,
    /// All reals have been looked at, and peers heard: before that others would get connections that are theirs.
    looked_at: bool,
    /// The room in the maps, which is that of the balancer's begin.
    first: Limits,
    /// Where it answers, until it does.
    doors: Option<Doors>,
    /// It has been told to stop balancing.
    ending: Option<Ending>,
    /// The BPF file system.
    root: PathBuf,
    owner: Owner,
    events: (Sender<Event>, Receiver<Event>),
    log: &'l mut dyn FnMut(&str),
}

impl Server<'_> {
    fn api_socket(&self) -> PathBuf {
        self.config.api.socket.clone().unwrap_or_else(|| api::socket(&self.config.name))
    }

    /// The addresses that can be served now.
    fn served(&self) -> BTreeSet<IpAddr> {
        let (Some(announce), false) = (&self.config.announce, self.blind) else { return BTreeSet::new() };
        let now = Instant::now();
        served(&self.config, announce.when, &|number| {
            let vip = &self.config.vips[number];
            vip.reals.iter().any(|real| self.control.standing(vip, &real.name, now).keeps)
        })
    }

    fn announce(&mut self) {
        let heard = self.peers.as_ref().is_none_or(Peers::complete);
        self.looked_at |= self.instance.adopted || heard && self.control.knows_all();
        if !self.looked_at {
            return;
        }
        let served = self.served();
        if let (Some(announce), Some(announcer)) = (&self.config.announce, &mut self.announcer) {
            announcer.serve(announce, served);
        }
    }

    fn size(&self) -> String {
        let reals: usize = self.config.vips.iter().map(|vip| vip.reals.len()).sum();
        format!("VIPs: {}, reals: {reals}", self.config.vips.len())
    }

    /// Serves until it is told to end. What is attached stays.
    ///
    /// # Errors
    /// Nobody can be answered where the configuration says.
    pub fn run(mut self, orders: Orders) -> Result<()> {
        let done = self.serves(orders);
        self.headers.end();
        done
    }

    fn serves(&mut self, orders: Orders) -> Result<()> {
        let (events, told) = std::mem::replace(&mut self.events, mpsc::channel());
        let mut workers = Workers::new(&events);
        let to = events.clone();
        let say = move |request| {
            let (back, answer) = mpsc::channel();
            let sent = to.send(Event::Asked(request, back)).is_ok();
            answer.recv().ok().filter(|_| sent).unwrap_or_else(|| Answer::refused(500, "the balancer ends"))
        };
        let (lines, name) = (events.clone(), self.config.name.clone());
        let log = move |line| drop(lines.send(Event::Said(format!("{name}: {line}"))));
        let answered = self.doors.take().map(|doors| doors.answer(say, log)).transpose()?;
        let signals = events.clone();
        thread::spawn(move || {
            loop {
                let Some(asked) = orders.wait(LOOK) else { continue };
                if signals.send(Event::Signal(asked)).is_err() || asked == Asked::End {
                    return;
                }
            }
        });
        let mut looked = Instant::now();
        loop {
            let now = Instant::now();
            self.checks(&mut workers, now);
            let waiting = told.try_recv();
            if self.unsettled.is_due(now, waiting.is_ok()) {
                self.settle_and_say();
            }
            let now = Instant::now();
            let next = self.due.peek().map(|Reverse((due, ..))| *due);
            let ours = next.into_iter().chain(self.unsettled.due()).chain(self.end_due());
            let until = ours.chain([looked + LOOK]).min().unwrap_or(now);
            match waiting.or_else(|_| told.recv_timeout(until.saturating_duration_since(now))) {
                Ok(Event::Signal(Asked::End)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Event::Signal(Asked::Reload)) => self.reload(),
                Ok(Event::Said(line)) => (self.log)(&line),
                Ok(Event::Shared(news)) => self.told(news),
                Ok(Event::Checked { vip, real, life, said, took }) => self.checked(&vip, (&real, life), said, took),
                Ok(Event::Asked(request, to)) if (&*request.method, &*request.path) == ("POST", "/v1/stop") => {
                    self.stop(&request, to);
                }
                Ok(Event::Asked(request, to)) => {
                    // What is told is what packets get.
                    if self.unsettled.has_turned() {
                        self.settle_and_say();
                    }
                    let answer = self.answer(&request);
                    // Who has gone does not hear it.
                    let _ = to.send(answer);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if self.ends() {
                drop(told);
                answered.iter().for_each(|answered| answered.quiet(FAREWELL));
                return Ok(());
            }
            // Not before reals that were found well get packets.
            if !self.looked_at && !self.unsettled.has_turned() {
                self.announce();
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                self.look();
                let modified = modified(&self.path);
                if modified.is_some() && modified != self.changed {
                    self.reload();
                }
            }
        }
        if self.unsettled.has_turned() {
            self.settle_and_say();
        }
        let was_ending = self.ends_not();
        let name = self.config.name.clone();
        (self.log)(&format!("{name}: packets go on being balanced; `alveary lb stop {name}` ends that"));
        if was_ending {
            drop(told);
            answered.iter().for_each(|answered| answered.quiet(FAREWELL));
        }
        Ok(())
    }

    /// Takes the reals of the configuration.
    fn configure(&mut self) -> Result<()> {
        self.seen = Seen::of(&self.config);
        let all = wanted(&self.config, &|_, _| Standing::WELL, &self.seen);
        let running = &self.instance.store.running;
        let there = |vip: usize, real: usize| {
            let place = all.vips[vip].rings[0].members[real].0;
            let number = running.real_number(&all.reals[place].0)?;
            running.reals.get(number).filter(|real| real.way != Way::None)
        };
        let is_away = |vip: usize, real: &wire::Real| {
            let number = running.vip_number(&all.vips[vip].keys);
            number.is_some_and(|number| running.away.contains(&wire::away_key(number, real.name)))
        };
        let before = |vip: usize, real: usize| there(vip, real).is_some_and(|there| !is_away(vip, there));
        let drained = |vip: usize, real: usize| {
            // Who was taken out of the configuration, and is in it again, comes back.
            let how = there(vip, real).map(|real| real.flags & (flag::REAL_DRAINING | flag::REAL_LEAVING));
            how == Some(flag::REAL_DRAINING)
        };
        let now = Instant::now();
        self.control.configure(&self.config, now, &before, &drained);
        self.control.look(&self.config, &|device| self.seen.has(device));
        for remark in self.config.remarks(config::local_ports()) {
            (self.log)(&remark);
        }
        let before: BTreeMap<u64, Instant> =
            std::mem::take(&mut self.due).into_iter().map(|Reverse((due, .., life))| (life, due)).gather();
        self.due = plan(&self.config, &self.control, (&before, &self.asked), now, &mut self.random);
        Ok(())
    }

    /// Brings the data plane to what is wanted now.
    fn settle(&mut self) -> Result<Changed> {
        let now = Instant::now();
        self.unsettled.until(Some(now + AGAIN));
        let standing = |vip: usize, real: usize| {
            let vip = &self.config.vips[vip];
            self.control.standing(vip, &vip.reals[real].name, now)
        };
        let mut next = wanted(&self.config, &standing, &self.seen);
        let at = |place: u32| next.reals[place as usize].0;
        let mut places = Places::default();
        (0..next.reals.len() as u32).for_each(|place| places.add(place, at));
        let is_wanted = |real: &wire::Real| places.find(real, at).is_some();
        // Who is gone from the configuration keeps its connections for a while.
        let longest = self.config.vips.iter().map(|vip| vip.drain).max().unwrap_or_default();
        let gone = self.wanted.reals.iter().filter(|(real, how)| how.keeps && !is_wanted(real));
        for (real, _) in gone {
            self.leaving.entry(*real).or_insert(now + longest);
        }
        let asked = self.leaving.keys().any(|real| real.ifindex != 0);
        let there = asked.then(indexes).flatten();
        let is_there = |index: u32| index == 0 || there.as_ref().is_none_or(|there| there.contains(&index));
        self.leaving.retain(|real, end| *end > now && !is_wanted(real) && is_there(real.ifindex));
        next.reals.extend(self.leaving.keys().map(|real| (*real, Standing::LEAVING)));
        let changed = self.instance.store.apply(&next)?;
        self.wanted = next;
        let next = self.control.next(&self.config, now).into_iter().chain(self.leaving.values().copied()).min();
        self.unsettled.until(next);
        self.why_not = None;
        if let Some(peers) = &self.peers {
            peers.learn(&self.instance.store.running, &self.wanted);
        }
        self.announce();
        Ok(changed)
    }

    fn settle_and_say(&mut self) {
        let before = self.why_not.take();
        match (self.settle(), before) {
            (Ok(_), None) => {}
            (Ok(_), Some(_)) => (self.log)(&format!("{}: what could not be changed is changed now", self.config.name)),
            (Err(why), before) => {
                let why = why.to_string();
                // It is tried again and again; that it is as it was is nothing new.
                if before.as_ref() != Some(&why) {
                    (self.log)(&format!("{}: the change could not be made: {why}", self.config.name));
                }
                self.why_not = Some(why);
            }
        }
    }
}

fn socket_folder() -> &'static Path {
    Path::new(api::FOLDER)
}
