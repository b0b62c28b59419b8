//! A balancer that is served: its configuration followed, its reals checked, questions answered. All changes are made by
//! one thread; checks and conversations have theirs.

use crate::{
    Fault, Result,
    announce::{Announcer, served, was_withdrawn, write_note},
    api,
    asked::Drain,
    bird,
    check::check,
    config::{self, Check, Config},
    control::Control,
    etcd::{self, News},
    http::{Answer, Request},
    instance::{Here, Instance},
    places::Places,
    report,
    shared::{self, Shared},
    sync::Peers,
    tunnel::Tunnel,
    wanted::{Standing, Wanted, wanted},
    wire::{self, Way, flag},
};
use alveary::kernel::signal::{Asked, Orders};
use alveary_diag::{Diagnostic, Place};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    net::IpAddr,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, Receiver, RecvTimeoutError, Sender},
    },
    thread,
    time::{Duration, Instant, SystemTime},
};

/// How often the file is looked at.
const LOOK: Duration = Duration::from_secs(1);
/// Checks at once.
const CHECKS: usize = 64;
/// Flows that are told at most.
const FLOWS: usize = 10_000;

/// What a served balancer is told.
enum Event {
    Checked { vip: String, real: String, said: std::result::Result<(), String>, took: Duration },
    Asked(Request, Sender<Answer>),
    Signal(Asked),
    Said(String),
    Shared(News),
}

/// A check that is due.
struct Job {
    vip: String,
    real: String,
    check: Check,
    address: IpAddr,
    port: u16,
    tunnel: Option<Tunnel>,
}

/// A balancer that is served.
pub struct Server<'l> {
    path: PathBuf,
    config: Config,
    control: Control,
    instance: Instance,
    wanted: Wanted,
    /// Reals that are no longer wanted, and until when their connections go on.
    leaving: Vec<(wire::Real, Instant)>,
    changed: Option<SystemTime>,
    /// When each real is checked next.
    due: BTreeMap<(usize, usize), Instant>,
    random: u64,
    /// VIPs that are in etcd, and how it is with that.
    shared: Option<(Shared, shared::Standing)>,
    peers: Option<Peers>,
    announcer: Option<Announcer>,
    /// All reals have been looked at, and peers heard: before that others would get connections that are theirs.
    looked_at: bool,
    events: (Sender<Event>, Receiver<Event>),
    log: &'l mut dyn FnMut(&str),
}

impl<'l> Server<'l> {
    /// Opens the balancer of a configuration, brings it to what that says, and attaches it.
    ///
    /// # Errors
    /// What is wrong with the configuration; the kernel's.
    pub fn begin(
        path: &Path,
        object: &[u8],
        root: &Path,
        log: &'l mut dyn FnMut(&str),
    ) -> std::result::Result<Server<'l>, Vec<Fault>> {
        let changed = modified(path);
        let local = read(path, None)?;
        let (config, shared) = match &local.etcd {
            Some(etcd) => {
                let (one, config, standing) = shared::first(etcd, &|one| read(path, Some(one)), log)?;
                (config, Some((one, standing)))
            }
            None => (local, None),
        };
        let one = |why: Fault| vec![why];
        let instance = Instance::open(&config, object, root).map_err(one)?;
        let random =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64) | 1;
        let mut server = Server {
            path: path.to_owned(),
            config,
            control: Control::default(),
            instance,
            wanted: Wanted::default(),
            leaving: Vec::new(),
            changed,
            due: BTreeMap::new(),
            random,
            shared,
            peers: None,
            announcer: None,
            looked_at: false,
            events: mpsc::channel(),
            log,
        };
        server.configure().map_err(one)?;
        server.settle().map_err(one)?;
        server.forget_routes();
        for note in server.instance.attach(&server.config).map_err(one)? {
            (server.log)(&note);
        }
        let how = if server.instance.adopted { "taken over" } else { "begun" };
        let message = format!("{}: {how}, {}", server.config.name, server.size());
        (server.log)(&message);
        server.begin_fleet().map_err(one)?;
        Ok(server)
    }

    /// A balancer that begins anew announces nothing: routes of its last life, before the machine died, may still stand in
    /// the file, and would bring packets before reals and peers were asked.
    fn forget_routes(&mut self) {
        if let (false, Some(announce)) = (self.instance.adopted, &self.config.announce)
            && let Err(why) = bird::announce(&self.config.name, announce, &BTreeSet::new())
        {
            (self.log)(&format!("{}: old routes, if there are any, are not taken back: {why}", self.config.name));
        }
    }

    /// Begins what is done with others. Packets are balanced by now.
    fn begin_fleet(&mut self) -> Result<()> {
        if let Some(sync) = &self.config.sync {
            let store = &self.instance.store;
            let peers = Peers::new(sync, &|map| store.map(map).clone())?;
            peers.learn(&store.running, &self.wanted);
            self.peers = Some(peers);
        }
        let socket = self.api_socket();
        let folder = socket_folder();
        // What begins anew was told nothing yet.
        let withdrawn = self.instance.adopted && was_withdrawn(folder, &self.config.name);
        write_note(folder, &self.config, &socket, withdrawn).map_err(|why| {
            let message = format!("what is announced cannot be noted in {}", folder.display());
            Diagnostic::new("lb-announce", message, Place::Nowhere).found(why.to_string())
        })?;
        if self.config.announce.is_some() {
            let events = self.events.0.clone();
            // Who does not listen any more has ended.
            let log = move |line| drop(events.send(Event::Said(line)));
            let mut announcer = Announcer::new(&self.config.name, log).map_err(|why| {
                Diagnostic::new("lb-announce", "nobody can announce anything", Place::Nowhere).found(why.to_string())
            })?;
            announcer.withdrawn = withdrawn;
            if withdrawn {
                (self.log)(&format!("{0}: routes stay withdrawn, until `alveary lb announce {0}`", self.config.name));
            }
            self.announcer = Some(announcer);
            self.announce();
        }
        if let (Some(etcd), Some((one, _))) = (self.config.etcd.clone(), &self.shared) {
            if one.revision > 0 {
                self.keep();
            }
            let (events, known) = (self.events.0.clone(), self.shared.as_ref().map_or(0, |(one, _)| one.revision));
            thread::spawn(move || etcd::follow(&etcd, known, |news| events.send(Event::Shared(news)).is_ok()));
        }
        Ok(())
    }

    /// Keeps the VIPs that etcd had, since they are right.
    fn keep(&mut self) {
        if let (Some(etcd), Some((one, _))) = (&self.config.etcd, &self.shared)
            && let Err(why) = one.keep(etcd)
        {
            (self.log)(&format!("{}: the VIPs cannot be kept in {}: {why}", self.config.name, etcd.kept.display()));
        }
    }

    /// What etcd says.
    fn told(&mut self, news: News) {
        let (name, Some(etcd), Some((before, standing))) =
            (self.config.name.clone(), self.config.etcd.clone(), self.shared.take())
        else {
            return;
        };
        let mut standing = shared::Standing { gone: None, ..standing };
        let found = match news {
            News::Value(found) => found,
            News::Missing => {
                (self.log)(&format!("{name}: the key `{}` is gone from etcd: VIPs stay as they are", etcd.key));
                standing.refused = Some("the key is not there".into());
                self.shared = Some((before, standing));
                return;
            }
            News::Gone(why) => {
                (self.log)(&format!("{name}: {why}: VIPs stay as they are"));
                standing.gone = Some(why);
                self.shared = Some((before, standing));
                return;
            }
            News::Back => {
                (self.log)(&format!("{name}: etcd answers again"));
                self.shared = Some((before, standing));
                return;
            }
        };
        let revision = found.revision;
        standing.refused = None;
        let done = Shared::of(&etcd, found).map_err(|why| vec![why]).and_then(|one| {
            self.shared = Some((one, standing.clone()));
            self.try_reload()
        });
        match done {
            Ok(()) => self.keep(),
            Err(faults) => {
                (self.log)(&format!("{name}: what etcd has in revision {revision} is wrong: VIPs stay as they are"));
                faults.iter().for_each(|fault| (self.log)(&fault.to_string()));
                standing.refused = Some(shared::words(&faults));
                self.shared = Some((before, standing));
            }
        }
    }

    fn api_socket(&self) -> PathBuf {
        self.config.api.socket.clone().unwrap_or_else(|| api::socket(&self.config.name))
    }

    /// The addresses that can be served now.
    fn served(&self) -> BTreeSet<IpAddr> {
        let (Some(announce), now) = (&self.config.announce, Instant::now()) else { return BTreeSet::new() };
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
        let (events, told) = std::mem::replace(&mut self.events, mpsc::channel());
        let jobs = workers(&self.config, &events);
        let to = events.clone();
        api::listen(&self.config, move |request| {
            let (back, answer) = mpsc::channel();
            let sent = to.send(Event::Asked(request, back)).is_ok();
            answer.recv().ok().filter(|_| sent).unwrap_or_else(|| Answer::refused(500, "the balancer ends"))
        })?;
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
            self.checks(&jobs, now);
            let next = self.due.values().min().copied();
            let own =
                self.control.next(&self.config, now).into_iter().chain(self.leaving.iter().map(|(_, end)| *end)).min();
            let until = next.into_iter().chain(own).chain([looked + LOOK]).min().unwrap_or(now);
            match told.recv_timeout(until.saturating_duration_since(now)) {
                Ok(Event::Signal(Asked::End)) | Err(RecvTimeoutError::Disconnected) => break,
                Ok(Event::Signal(Asked::Reload)) => self.reload(),
                Ok(Event::Said(line)) => (self.log)(&line),
                Ok(Event::Shared(news)) => self.told(news),
                Ok(Event::Checked { vip, real, said, took }) => self.checked(&vip, &real, said, took),
                Ok(Event::Asked(request, to)) => {
                    let answer = self.answer(&request);
                    // Who has gone does not hear it.
                    let _ = to.send(answer);
                }
                Err(RecvTimeoutError::Timeout) => {}
            }
            if !self.looked_at {
                self.announce();
            }
            if own.is_some_and(|own| own <= Instant::now()) {
                self.settle_and_say();
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                let modified = modified(&self.path);
                if modified.is_some() && modified != self.changed {
                    self.reload();
                }
            }
        }
        let name = self.config.name.clone();
        (self.log)(&format!("{name}: packets go on being balanced; `alveary lb stop {name}` ends that"));
        Ok(())
    }

    /// Takes the reals of the configuration.
    fn configure(&mut self) -> Result<()> {
        let all = wanted(&self.config, &|_, _| Standing::WELL, &Here).map_err(|device| no_device(&device))?;
        let running = &self.instance.store.running;
        let there = |vip: usize, real: usize| {
            let place = all.vips[vip].rings[0].members[real].0;
            let number = running.real_number(&all.reals[place].0)?;
            running.reals.get(number).filter(|real| real.way != Way::None)
        };
        let before = |vip: usize, real: usize| there(vip, real).is_some();
        // Who was taken out of the configuration, and is in it again, comes back.
        let left = |real: &wire::Real| self.leaving.iter().any(|(other, _)| other.content() == real.content());
        let drained = |vip: usize, real: usize| {
            there(vip, real).is_some_and(|real| real.flags & flag::REAL_DRAINING != 0 && !left(real))
        };
        let now = Instant::now();
        self.control.configure(&self.config, now, &before, &drained);
        for remark in self.config.remarks(config::local_ports()) {
            (self.log)(&remark);
        }
        self.due = BTreeMap::new();
        for (number, vip) in self.config.vips.iter().enumerate() {
            let Some(check) = &vip.check else { continue };
            for real in 0..vip.reals.len() {
                // The first ones at once, but not all of many in one moment.
                let spread = self.random % (check.interval.as_millis() as u64 / 4 + 1);
                self.random = xorshift(self.random);
                self.due.insert((number, real), now + Duration::from_millis(spread));
            }
        }
        Ok(())
    }

    /// Brings the data plane to what is wanted now.
    fn settle(&mut self) -> Result<()> {
        let now = Instant::now();
        let standing = |vip: usize, real: usize| {
            let vip = &self.config.vips[vip];
            self.control.standing(vip, &vip.reals[real].name, now)
        };
        let mut next = wanted(&self.config, &standing, &Here).map_err(|device| no_device(&device))?;
        let at = |place: u32| next.reals[place as usize].0;
        let mut places = Places::default();
        (0..next.reals.len() as u32).for_each(|place| places.add(place, at));
        let is_wanted = |real: &wire::Real| places.find(real, at).is_some();
        // Who is gone from the configuration keeps its connections for a while.
        let longest = self.config.vips.iter().map(|vip| vip.drain).max().unwrap_or_default();
        let gone: Vec<_> = self.wanted.reals.iter().filter(|(real, how)| how.keeps && !is_wanted(real)).collect();
        for (real, _) in gone {
            if !self.leaving.iter().any(|(other, _)| other == real) {
                self.leaving.push((*real, now + longest));
            }
        }
        self.leaving.retain(|(real, end)| *end > now && !is_wanted(real));
        next.reals.extend(self.leaving.iter().map(|(real, _)| (*real, Standing::DRAINING)));
        self.instance.store.apply(&next)?;
        self.wanted = next;
        if let Some(peers) = &self.peers {
            peers.learn(&self.instance.store.running, &self.wanted);
        }
        self.announce();
        Ok(())
    }

    fn settle_and_say(&mut self) {
        if let Err(why) = self.settle() {
            (self.log)(&format!("{}: the change could not be made: {why}", self.config.name));
        }
    }

    /// Reads the configuration again: one that is wrong changes nothing.
    fn reload(&mut self) {
        if let Err(faults) = self.try_reload() {
            (self.log)(&format!("{}: the configuration stays as it was", self.config.name));
            for fault in faults {
                (self.log)(&fault.to_string());
            }
        }
    }

    fn try_reload(&mut self) -> std::result::Result<(), Vec<Fault>> {
        let one = |why: Fault| vec![why];
        self.changed = modified(&self.path);
        let config = read(&self.path, self.shared.as_ref().map(|(one, _)| one))?;
        for (what, same) in [
            ("the balancer's name", config.name == self.config.name),
            ("where the API answers", config.api == self.config.api && config.metrics == self.config.metrics),
            ("`seed`", config.seed == self.config.seed),
            ("`[katran]`", config.katran == self.config.katran),
            ("`announce`", config.announce == self.config.announce),
            ("`etcd`", config.etcd == self.config.etcd),
            ("`sync`", config.sync == self.config.sync),
        ] {
            if !same {
                let why = Diagnostic::new("lb-reload", format!("{what} is set when it begins"), Place::Nowhere);
                return Err(one(why
                    .help("end `alveary lb serve`, and start it again: packets go on meanwhile")
                    .into()));
            }
        }
        let (before, control) = (std::mem::replace(&mut self.config, config), self.control.clone());
        let done = self.configure().and_then(|()| self.settle()).and_then(|()| self.instance.attach(&self.config));
        match done {
            Ok(notes) => {
                let size = self.size();
                notes.iter().for_each(|note| (self.log)(note));
                (self.log)(&format!("{}: read again, {size}", self.config.name));
                Ok(())
            }
            Err(why) => {
                (self.config, self.control) = (before, control);
                let mut all = one(why);
                all.extend(self.configure().and_then(|()| self.settle()).err());
                Err(all)
            }
        }
    }

    /// Has the checks made that are due.
    fn checks(&mut self, jobs: &Sender<Job>, now: Instant) {
        for ((number, index), due) in &mut self.due {
            if *due > now {
                continue;
            }
            let vip = &self.config.vips[*number];
            let (real, Some(check)) = (&vip.reals[*index], &vip.check) else { continue };
            self.random = xorshift(self.random);
            let part = f64::from(check.jitter) / 100.0 * ((self.random >> 11) as f64 / (1u64 << 52) as f64 - 1.0);
            *due = now + check.interval.mul_f64(1.0 + part);
            let port = check.port.or(real.port).or(vip.ports.first().copied()).unwrap_or_default();
            let job = Job {
                vip: vip.name.clone(),
                real: real.name.to_string(),
                check: check.clone(),
                address: real.address,
                port,
                tunnel: check.tunnel.then(|| Tunnel::of(&self.config, vip, real)).flatten(),
            };
            // The workers live as long as we do.
            let _ = jobs.send(job);
        }
    }

    fn checked(&mut self, vip: &str, real: &str, said: std::result::Result<(), String>, took: Duration) {
        let Some(vip) = self.config.vips.iter().find(|one| one.name == vip) else { return };
        let words = said.clone().map_or_else(|why| format!("down: {why}"), |()| "up".into());
        if self.control.checked(vip, real, said, took, Instant::now()) {
            let line = format!("{}: {real} is {words}", vip.name);
            (self.log)(&line);
            self.settle_and_say();
        }
    }

    fn answer(&mut self, request: &Request) -> Answer {
        let known = match (request.method.as_str(), request.path.as_str()) {
            ("GET", "/") => return Answer { status: 200, kind: "text/html; charset=utf-8", body: report::PAGE.into() },
            ("GET", "/openapi.json") => {
                return Answer { status: 200, kind: "application/json", body: report::OPENAPI.into() };
            }
            ("GET", "/v1/status") => self.view().status().map(|mut status| {
                self.fleet_status(&mut status);
                Answer::json(&status)
            }),
            ("GET", "/metrics") => self.view().metrics().map(|text| Answer {
                status: 200,
                kind: "text/plain; version=0.0.4",
                body: (text + &self.fleet_metrics()).into_bytes(),
            }),
            ("GET", "/v1/flows") => self.view().flows(FLOWS).map(|flows| Answer::json(&flows)),
            ("POST", "/v1/reload") => {
                return match self.try_reload() {
                    Ok(()) => Answer::json(&serde_json::json!({})),
                    Err(faults) => {
                        let faults: Vec<String> = faults.iter().map(ToString::to_string).collect();
                        Answer { status: 422, ..Answer::json(&serde_json::json!({ "error": faults.join("\n") })) }
                    }
                };
            }
            ("POST", "/v1/drain" | "/v1/undrain") => return self.drain(request),
            ("POST", "/v1/withdraw" | "/v1/announce") => return self.withdraw(request.path == "/v1/withdraw"),
            (_, "/" | "/openapi.json" | "/v1/status" | "/metrics" | "/v1/flows") => {
                return Answer::refused(405, "ask with GET");
            }
            (_, "/v1/reload" | "/v1/drain" | "/v1/undrain" | "/v1/withdraw" | "/v1/announce") => {
                return Answer::refused(405, "ask with POST");
            }
            _ => return Answer::refused(404, "there is nothing here; /openapi.json says what there is"),
        };
        known.unwrap_or_else(|why| Answer::refused(500, &why.to_string()))
    }

    fn drain(&mut self, request: &Request) -> Answer {
        let Drain { real, vip, within } = match Drain::read(&request.body) {
            Ok(said) => said,
            Err(why) => return Answer::refused(400, &why),
        };
        let (vip, now) = (vip.as_deref(), Instant::now());
        let count = if request.path == "/v1/drain" {
            self.control.drain(&self.config, vip, &real, within, now)
        } else {
            self.control.undrain(vip, &real, now)
        };
        if count == 0 {
            let names = self.config.vips.iter().flat_map(|vip| &vip.reals).map(|real| real.name.as_str());
            let meant = alveary_diag::did_you_mean(&real, names).map(|meant| format!("; did you mean `{meant}`?"));
            let drained = if request.path == "/v1/drain" { "" } else { " that is drained" };
            return Answer::refused(404, &format!("there is no real `{real}`{drained}{}", meant.unwrap_or_default()));
        }
        match self.settle() {
            Ok(()) => Answer::json(&serde_json::json!({ "reals": count })),
            Err(why) => Answer::refused(500, &why.to_string()),
        }
    }

    /// Takes routes back, or announces them again.
    fn withdraw(&mut self, away: bool) -> Answer {
        let (served, socket) = (self.served(), self.api_socket());
        let (Some(announce), Some(announcer)) = (&self.config.announce, &mut self.announcer) else {
            return Answer::refused(404, "this balancer announces nothing: [announce] in its configuration");
        };
        let noted = write_note(socket_folder(), &self.config, &socket, away);
        // Before it is done: a process that ends meanwhile has a successor that knows.
        if let Err(why) = noted {
            (self.log)(&format!(
                "{}: that this was asked for cannot be noted for the next process: {why}",
                self.config.name
            ));
        }
        match announcer.withdraw(announce, served, away) {
            Ok(()) => Answer::json(&announcer.status()),
            Err(why) => Answer::refused(500, &why),
        }
    }

    /// What there is to say of others.
    fn fleet_status(&self, status: &mut serde_json::Value) {
        if let Some(announcer) = &self.announcer {
            status["announce"] = announcer.status();
        }
        if let Some(peers) = &self.peers {
            status["sync"] = peers.status();
        }
        if let Some((one, standing)) = &self.shared {
            status["etcd"] = serde_json::json!({
                "from": one.name, "revision": one.revision, "gone": standing.gone, "refused": standing.refused,
            });
        }
    }

    fn fleet_metrics(&self) -> String {
        let mut text = String::new();
        if let Some(announcer) = &self.announcer {
            text += &gauge("announced", "Addresses that BIRD announces", announcer.count() as u64);
        }
        if let Some(peers) = &self.peers {
            for (name, about, count) in peers.counters() {
                text += &format!(
                    "# HELP alveary_lb_{name} {about}\n# TYPE alveary_lb_{name} counter\nalveary_lb_{name} {count}\n"
                );
            }
        }
        if let Some((one, standing)) = &self.shared {
            text += &gauge("etcd_revision", "Revision of the VIPs; 0: those that were kept", one.revision);
            text += &gauge("etcd_up", "Whether etcd answers", standing.gone.is_none().into());
            text += &gauge(
                "etcd_refused",
                "Whether etcd has what is wrong, and not applied",
                standing.refused.is_some().into(),
            );
        }
        text
    }

    fn view(&self) -> report::View<'_, alveary::Linux> {
        report::View {
            config: &self.config,
            control: &self.control,
            store: &self.instance.store,
            wanted: &self.wanted,
            adopted: self.instance.adopted,
            now: Instant::now(),
        }
    }
}

/// The folder of sockets, and of notes.
fn socket_folder() -> &'static Path {
    Path::new("/run/alveary")
}

/// A number for Prometheus.
fn gauge(name: &str, help: &str, value: u64) -> String {
    format!("# HELP alveary_lb_{name} {help}\n# TYPE alveary_lb_{name} gauge\nalveary_lb_{name} {value}\n")
}

fn xorshift(mut state: u64) -> u64 {
    state ^= state << 13;
    state ^= state >> 7;
    state ^ (state << 17)
}

fn no_device(name: &str) -> Fault {
    Diagnostic::new("lb-device", format!("there is no network device `{name}`"), Place::Nowhere).into()
}

fn modified(path: &Path) -> Option<SystemTime> {
    fs::metadata(path).and_then(|about| about.modified()).ok()
}

fn read(path: &Path, shared: Option<&Shared>) -> std::result::Result<Config, Vec<Fault>> {
    let name = path.display().to_string();
    let text = config::text(path).map_err(|why| vec![Fault::from(why)])?;
    let shared = shared.map(|one| (one.name.as_str(), one.text.as_str()));
    Config::read_shared(&name, &text, shared).map_err(|faults| faults.into_iter().map(Fault::from).collect())
}

/// Threads that make checks: a slow real keeps none of the others waiting, unless there are very many of them.
fn workers(config: &Config, events: &Sender<Event>) -> Sender<Job> {
    let (jobs, taken) = mpsc::channel::<Job>();
    let taken: Arc<Mutex<Receiver<Job>>> = Arc::new(Mutex::new(taken));
    let reals: usize = config.vips.iter().map(|vip| vip.reals.len()).sum();
    for _ in 0..reals.clamp(8, CHECKS) {
        let (taken, events) = (taken.clone(), events.clone());
        thread::spawn(move || {
            loop {
                let job = taken.lock().unwrap_or_else(PoisonError::into_inner).recv();
                let Ok(Job { vip, real, check: how, address, port, tunnel }) = job else { return };
                let begun = Instant::now();
                let said = check(&how, address, port, tunnel.as_ref());
                if events.send(Event::Checked { vip, real, said, took: begun.elapsed() }).is_err() {
                    return;
                }
            }
        });
    }
    jobs
}
