//! How a balancer begins.

use super::{
    Event, Server,
    devices::Seen,
    follow::{modified, read},
    socket_folder,
    unsettled::Unsettled,
};
use crate::{
    Fault, Result,
    announce::{Announcer, Note, was_withdrawn},
    api::{self, socket},
    bird,
    config::{Config, Places},
    control::Control,
    etcd,
    instance::{self, Instance},
    owner::Owner,
    shared::{self, Shared},
    sync::Peers,
    tunnel::Headers,
    wanted::{Standing, Wanted},
};
use alveary_diag::{Diagnostic, Place};
use std::{
    collections::{BTreeMap, BTreeSet, BinaryHeap},
    path::Path,
    sync::{
        Arc,
        mpsc::{self, Sender},
    },
    thread,
    time::SystemTime,
};

impl<'l> Server<'l> {
    /// Opens the balancer of a configuration, brings it to what that says, and attaches it.
    ///
    /// # Errors
    /// What is wrong with the configuration; another process serves it; the kernel's. What ran before runs as it did then,
    /// and nothing else does.
    pub fn begin(
        path: &Path,
        object: &[u8],
        root: &Path,
        log: &'l mut dyn FnMut(&str),
    ) -> std::result::Result<Server<'l>, Vec<Fault>> {
        let changed = modified(path);
        let (local, places) = read(path, None, None)?;
        let (config, shared) = match &local.etcd {
            Some(etcd) => {
                let (one, config, standing) = shared::first(etcd, &|one| Ok(read(path, Some(one), None)?.0), log)?;
                (config, Some((one, standing)))
            }
            None => (local, None),
        };
        Server::of(path, changed, (config, &places, shared), object, root, log)
            .map_err(|why| vec![why])
            .map(|server| server.says_what_waits(&places))
    }

    /// The same with a configuration that is right. All that may be refused is tried before anything that runs is changed.
    fn of(
        path: &Path,
        changed: Option<SystemTime>,
        (config, places, shared): (Config, &Places, Option<(Shared, shared::Standing)>),
        object: &[u8],
        root: &Path,
        log: &'l mut dyn FnMut(&str),
    ) -> Result<Server<'l>> {
        let owner = Owner::take(root, &config.name)?;
        if let Some((table, key)) = instance::hashes_otherwise(&config, object, root)? {
            let what = if table == "configuration" { format!("[{key}]") } else { format!("`{key}` in [{table}]") };
            let message = format!("{what} is not what the balancer `{}` began with, which runs", config.name);
            let stop = format!("`alveary lb stop {}`, and `serve` again: connections are forgotten", config.name);
            return Err(Diagnostic::new("lb-reload", message, places.of(table, key)).help(stop).into());
        }
        let doors = api::open(&config, places)?;
        let ready = config.sync.as_ref().map(|sync| Peers::open(sync, places)).transpose()?;
        let instance = Instance::open(&config, object, root)?;
        let store = &instance.store;
        let peers = ready.map(|ready| Peers::with(ready, &|map| store.map(map).clone())).transpose()?;
        let (folder, socket) = (socket_folder(), config.api.socket.clone().unwrap_or_else(|| socket(&config.name)));
        // What begins anew was told nothing yet.
        let withdrawn = instance.adopted && was_withdrawn(folder, &config.name);
        let note = Note::prepare(folder, &config, (&socket, root), withdrawn).map_err(|why| {
            let message = format!("what is announced cannot be noted in {}", folder.display());
            Diagnostic::new("lb-announce", message, Place::Nowhere).found(why.to_string())
        })?;
        let events = mpsc::channel();
        let announcer = config.announce.as_ref().map(|_| announcer(&config.name, withdrawn, &events.0)).transpose()?;
        let random =
            SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).map_or(1, |now| now.as_nanos() as u64) | 1;
        let (first, headers) = (config.limits, Arc::new(Headers::of(&config.name)));
        let mut server = Server {
            path: path.to_owned(),
            config,
            control: Control::default(),
            instance,
            wanted: Wanted::default(),
            seen: Seen::default(),
            not_attached: Vec::new(),
            blind: false,
            leaving: BTreeMap::new(),
            changed,
            unsettled: Unsettled::default(),
            why_not: None,
            due: BinaryHeap::new(),
            asked: BTreeMap::new(),
            refused: None,
            headers,
            random,
            shared,
            peers,
            announcer: None,
            looked_at: false,
            first,
            doors: Some(doors),
            ending: None,
            root: root.to_owned(),
            owner,
            events,
            log,
        };
        if let Err(why) = server.attach() {
            server.instance.take_back();
            return Err(why);
        }
        server.owner.keep();
        server.first = server.instance.store.limits(server.config.limits);
        server.announcer = announcer;
        server.begin_fleet(note);
        Ok(server)
    }

    /// Of what was taken over something may be otherwise than the configuration says.
    fn says_what_waits(self, places: &Places) -> Server<'l> {
        self.waits(&self.config, places).iter().for_each(|line| (self.log)(line));
        self
    }

    /// Brings the data plane to what is wanted, and the program to the devices.
    fn attach(&mut self) -> Result<()> {
        self.configure()?;
        let notes = if self.instance.adopted {
            // What runs is what was wanted before: who is out of the configuration since then keeps its connections for a while.
            self.wanted.reals = self.instance.store.running.in_use().map(|real| (real, Standing::WELL)).collect();
            // What others may refuse comes first: then packets still go the way that they went.
            let notes = self.instance.attach_new(&self.config)?;
            self.settle()?;
            notes
        } else {
            // The maps are nobody's yet.
            self.settle()?;
            self.forget_routes();
            self.instance.attach_new(&self.config)?
        };
        self.instance.take_place(&self.config)?;
        notes.iter().for_each(|note| (self.log)(note));
        let how = if self.instance.adopted { "taken over" } else { "begun" };
        let message = format!("{}: {how}, {}", self.config.name, self.size());
        (self.log)(&message);
        Ok(())
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

    /// Begins what is done with others. Packets are balanced by now, and go on being balanced whatever fails here.
    fn begin_fleet(&mut self, note: Note) {
        if let Some(peers) = &mut self.peers {
            peers.learn(&self.instance.store.running, &self.wanted);
            if let Err(why) = peers.begin() {
                (self.log)(&format!("{}: {why}", self.config.name));
            }
        }
        if let Err(why) = note.hold() {
            (self.log)(&format!("{}: where it answers cannot be noted: {why}", self.config.name));
        }
        if self.announcer.as_ref().is_some_and(|announcer| announcer.withdrawn) {
            (self.log)(&format!("{0}: routes stay withdrawn, until `alveary lb announce {0}`", self.config.name));
        }
        self.announce();
        if let (Some(etcd), Some((one, _))) = (self.config.etcd.clone(), &self.shared) {
            if one.revision > 0 {
                self.keep();
            }
            let (events, known) = (self.events.0.clone(), self.shared.as_ref().map_or(0, |(one, _)| one.revision));
            thread::spawn(move || etcd::follow(&etcd, known, |news| events.send(Event::Shared(news)).is_ok()));
        }
    }
}

/// Who tells BIRD.
fn announcer(name: &str, withdrawn: bool, events: &Sender<Event>) -> Result<Announcer> {
    let events = events.clone();
    // Who does not listen any more has ended.
    let log = move |line| drop(events.send(Event::Said(line)));
    let mut announcer = Announcer::new(name, log).map_err(|why| {
        Diagnostic::new("lb-announce", "nobody can announce anything", Place::Nowhere).found(why.to_string())
    })?;
    announcer.withdrawn = withdrawn;
    Ok(announcer)
}
