//! Whether this balancer's VIPs are announced: those that it can serve are, until it is told that it shall not be asked. A
//! thread tells BIRD, and tells it again when that fails.

use crate::{
    bird,
    config::{Announce, Config, When},
};
use alveary_sort::{Gather, Sort};
use rustix::{
    fs::OFlags,
    process::{Gid, Uid, getegid, geteuid},
    thread::{set_thread_groups, set_thread_res_gid, set_thread_res_uid},
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, BTreeSet},
    fs::{self, File},
    io::{self, Read as _},
    net::IpAddr,
    os::unix::{
        fs::{FileTypeExt, MetadataExt, OpenOptionsExt},
        net::UnixStream,
    },
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread,
    time::Duration,
};

/// After that BIRD is told again what it did not take.
const AGAIN: Duration = Duration::from_secs(2);
/// How long is waited for it, by who has to know.
const PATIENCE: Duration = Duration::from_secs(6);

/// Between the withdrawal of routes and the end, at most: nothing else is done meanwhile, and who asks has patience for a
/// minute.
pub(crate) const LINGER: Duration = Duration::from_secs(30);
/// Bytes of a note that are read: 64 KiB are a thousand peers.
const NOTE: u64 = 1 << 20;

/// What is known of what BIRD has taken.
#[derive(Clone, Debug, Default)]
struct Taken {
    addresses: BTreeSet<IpAddr>,
    why_not: Option<String>,
}

struct Order {
    announce: Announce,
    addresses: BTreeSet<IpAddr>,
    done: Option<Sender<Result<(), String>>>,
}

/// What BIRD is told.
#[derive(Debug)]
pub(crate) struct Announcer {
    orders: Sender<Order>,
    taken: Arc<Mutex<Taken>>,
    said: Option<(Announce, BTreeSet<IpAddr>)>,
    /// It has been told to stand back.
    pub(crate) withdrawn: bool,
}

/// The addresses of a configuration that can be served; `is_well` says of a VIP, by its number, whether it has a real.
pub(crate) fn served(config: &Config, when: When, is_well: &dyn Fn(usize) -> bool) -> BTreeSet<IpAddr> {
    let mut by_address: BTreeMap<IpAddr, Vec<bool>> = BTreeMap::new();
    // Those without reals are there for what they do with packets: they are as well as they can be.
    for (number, vip) in config.vips.iter().enumerate().filter(|(_, vip)| !vip.reals.is_empty()) {
        by_address.entry(vip.address).or_default().push(is_well(number));
    }
    let is_served = |well: &[bool]| match when {
        When::Any => well.contains(&true),
        When::All => !well.contains(&false),
    };
    by_address.into_iter().filter(|(_, well)| is_served(well)).map(|(address, _)| address).gather()
}

impl Announcer {
    pub(crate) fn new(name: &str, log: impl Fn(String) + Send + 'static) -> io::Result<Announcer> {
        let (orders, taken_orders) = mpsc::channel::<Order>();
        let taken = Arc::new(Mutex::new(Taken::default()));
        let (name, told) = (name.to_owned(), taken.clone());
        thread::Builder::new().name("announcer".into()).spawn(move || {
            let mut open: Option<Order> = None;
            loop {
                let next = match &open {
                    None => taken_orders.recv().map_err(|_| RecvTimeoutError::Disconnected),
                    Some(_) => taken_orders.recv_timeout(AGAIN),
                };
                let mut order = match (next, open.take()) {
                    (Ok(order), _) => order,
                    (Err(RecvTimeoutError::Timeout), Some(order)) => order,
                    _ => return,
                };
                // Only the last word counts.
                while let Ok(later) = taken_orders.try_recv() {
                    order = later;
                }
                let done = bird::announce(&name, &order.announce, &order.addresses).map_err(|why| why.to_string());
                let mut taken = told.lock().unwrap_or_else(PoisonError::into_inner);
                let before = taken.why_not.take();
                match &done {
                    Ok(()) => {
                        taken.addresses.clone_from(&order.addresses);
                        let list: Vec<String> = order.addresses.iter().map(ToString::to_string).collect();
                        let list = if list.is_empty() { "nothing".to_owned() } else { list.join(", ") };
                        log(format!("{name}: announced: {list}"));
                    }
                    Err(why) => {
                        if before.as_ref() != Some(why) {
                            log(format!("{name}: nothing can be announced: {why}"));
                        }
                        taken.why_not = Some(why.clone());
                    }
                }
                drop(taken);
                let failed = done.is_err();
                if let Some(to) = order.done.take() {
                    // Who asked may have lost patience.
                    let _ = to.send(done);
                }
                open = failed.then_some(order);
            }
        })?;
        Ok(Announcer { orders, taken, said: None, withdrawn: false })
    }

    /// These addresses can be served: they are announced, if they were not.
    pub(crate) fn serve(&mut self, announce: &Announce, served: BTreeSet<IpAddr>) {
        let addresses = if self.withdrawn { BTreeSet::new() } else { served };
        let now = (announce.clone(), addresses);
        if self.said.as_ref() != Some(&now) {
            self.order(now, None);
        }
    }

    fn order(&mut self, (announce, addresses): (Announce, BTreeSet<IpAddr>), done: Option<Sender<Result<(), String>>>) {
        self.said = Some((announce.clone(), addresses.clone()));
        // The thread ends with this value.
        let _ = self.orders.send(Order { announce, addresses, done });
    }

    /// Announces nothing from now on, or what can be served again; says when BIRD has taken it.
    pub(crate) fn withdraw(&mut self, announce: &Announce, served: BTreeSet<IpAddr>, away: bool) -> Result<(), String> {
        self.withdrawn = away;
        let (to, from) = mpsc::channel();
        self.order((announce.clone(), if away { BTreeSet::new() } else { served }), Some(to));
        from.recv_timeout(PATIENCE).unwrap_or_else(|_| Err("BIRD has not said yet that it did so".into()))
    }

    /// What is announced.
    pub(crate) fn status(&self) -> Value {
        let taken = self.taken.lock().unwrap_or_else(PoisonError::into_inner);
        json!({ "addresses": taken.addresses, "withdrawn": self.withdrawn, "why_not": taken.why_not })
    }

    /// How many addresses BIRD has taken.
    pub(crate) fn count(&self) -> usize {
        self.taken.lock().unwrap_or_else(PoisonError::into_inner).addresses.len()
    }
}

/// Where it is written what has to be withdrawn when a balancer is stopped.
fn note(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("lb-{name}.announce"))
}

/// Notes where the balancer answers; for who stops it what it has announced; and for the next process whether it has been
/// told to stand back.
#[derive(Debug)]
pub(crate) struct Note {
    new: PathBuf,
    path: PathBuf,
}

impl Note {
    /// Writes it, beside the one that holds.
    pub(crate) fn prepare(
        folder: &Path,
        config: &Config,
        (socket, root): (&Path, &Path),
        withdrawn: bool,
    ) -> io::Result<Note> {
        let path = note(folder, &config.name);
        let new = path.with_extension(format!("{}.new", std::process::id()));
        fs::create_dir_all(folder)?;
        let mut said = json!({ "socket": socket, "bpffs": root });
        if let Some(announce) = &config.announce {
            let nothing = bird::text(&config.name, announce, &BTreeSet::new());
            said = json!({
                "file": announce.file, "bird": announce.bird, "linger": announce.linger.as_millis() as u64,
                "text": nothing, "socket": socket, "bpffs": root, "withdrawn": withdrawn,
            });
        }
        fs::write(&new, said.to_string())?;
        Ok(Note { new, path })
    }

    /// It holds from now on: who reads it does not see it half.
    pub(crate) fn hold(self) -> io::Result<()> {
        fs::rename(&self.new, &self.path)
    }
}

impl Drop for Note {
    fn drop(&mut self) {
        // One that holds is called otherwise.
        let _ = fs::remove_file(&self.new);
    }
}

/// What a note says, and whose it is.
fn read_note(folder: &Path, name: &str) -> io::Result<Option<(Value, Owner)>> {
    // Its folder may be another user's, who puts there what he likes.
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let file = match File::options().read(true).custom_flags(flags.bits() as i32).open(note(folder, name)) {
        Ok(file) => file,
        Err(why) if why.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(why) => return Err(why),
    };
    let about = file.metadata()?;
    if !about.is_file() {
        return Err(io::Error::other("the note is no file"));
    }
    let mut text = Vec::new();
    file.take(NOTE).read_to_end(&mut text)?;
    Ok(Some((serde_json::from_slice(&text)?, Owner { user: about.uid(), group: about.gid() })))
}

/// Whose a note is.
#[derive(Clone, Copy, Debug)]
struct Owner {
    user: u32,
    group: u32,
}

impl Owner {
    /// Does something with this user's rights and no others: what somebody asks for by a note he has to be able to do himself.
    fn does(self, what: impl FnOnce() -> io::Result<()> + Send) -> io::Result<()> {
        if self.user == 0 || self.user == geteuid().as_raw() {
            return what();
        }
        let (user, group) = (Uid::from_raw(self.user), Gid::from_raw(self.group));
        let becomes = || {
            set_thread_groups(&[])?;
            set_thread_res_gid(group, group, group)?;
            set_thread_res_uid(user, user, user)
        };
        // Rights are a thread's own: that of the others are what they were.
        let does = || becomes().map_err(io::Error::from).and_then(|()| what());
        let done = thread::scope(|scope| scope.spawn(does).join());
        done.unwrap_or_else(|_| Err(io::Error::other("it panicked")))
            .map_err(|why| io::Error::new(why.kind(), format!("as user {}, whose note asks for it: {why}", self.user)))
    }
}

/// Whether a balancer has been told to stand back, by the note that its last process left.
pub(crate) fn was_withdrawn(folder: &Path, name: &str) -> bool {
    read_note(folder, name).is_ok_and(|said| said.is_some_and(|(said, _)| said["withdrawn"] == true))
}

/// Where a balancer answers, by the note that its last process left; without one, where they do unless told otherwise.
#[must_use]
pub fn noted_socket(name: &str) -> PathBuf {
    let usual = crate::api::socket(name);
    let said = usual.parent().and_then(|folder| read_note(folder, name).ok()?);
    said.and_then(|(said, _)| said["socket"].as_str().map(PathBuf::from)).unwrap_or(usual)
}

/// The BPF file system that a balancer is pinned in, by the note that its last process left.
#[must_use]
pub fn noted_bpffs(name: &str) -> Option<PathBuf> {
    bpffs_of(Path::new(crate::api::FOLDER), name)
}

fn bpffs_of(folder: &Path, name: &str) -> Option<PathBuf> {
    let (said, _) = read_note(folder, name).ok()??;
    said["bpffs"].as_str().map(PathBuf::from)
}

/// The balancers that have left notes, by name: those that run, and those that were not stopped.
#[must_use]
pub fn noted() -> Vec<String> {
    names_in(Path::new(crate::api::FOLDER))
}

fn names_in(folder: &Path) -> Vec<String> {
    let name = |entry: fs::DirEntry| {
        let file = entry.file_name().into_string().ok()?;
        Some(file.strip_prefix("lb-")?.strip_suffix(".announce")?.to_owned())
    };
    let mut names: Vec<String> = fs::read_dir(folder).into_iter().flatten().flatten().filter_map(name).collect();
    names.order();
    names
}

/// Withdraws what a balancer has announced whose process is gone, by the note that it left, and waits as long as its
/// configuration says. Without a note there is nothing to do. BIRD's file is written with the rights of the note's owner.
///
/// # Errors
/// BIRD's.
pub fn withdraw_by_note(folder: &Path, name: &str) -> io::Result<()> {
    let Some((said, owner)) = read_note(folder, name)? else { return Ok(()) };
    let of = |key: &str| said[key].as_str().unwrap_or_default();
    if said["file"].is_string() {
        owner.does(|| bird::put(Path::new(of("file")), of("text")))?;
        bird::configure(Path::new(of("bird")))?;
        // Routers that are further away hear of it meanwhile, while packets are still taken.
        thread::sleep(Duration::from_millis(said["linger"].as_u64().unwrap_or_default()).min(LINGER));
    }
    forget_note(folder, name)
}

/// The socket of a balancer whose process is gone, as that has noted it.
#[derive(Debug)]
pub struct LeftSocket {
    path: PathBuf,
    owner: Owner,
}

impl LeftSocket {
    /// Where it is: at `said`, or where the note says, or without one where they are unless told otherwise.
    #[must_use]
    pub fn of(folder: &Path, name: &str, said: Option<PathBuf>) -> LeftSocket {
        let ours = Owner { user: geteuid().as_raw(), group: getegid().as_raw() };
        let noted = read_note(folder, name).ok().flatten();
        let noted = noted.and_then(|(note, owner)| Some((note["socket"].as_str()?.into(), owner)));
        let (path, owner) = match (said, noted) {
            (Some(path), _) => (path, ours),
            (None, Some(noted)) => noted,
            (None, None) => (crate::api::socket(name), ours),
        };
        LeftSocket { path, owner }
    }

    /// Removes it with the rights of the note's owner: if it is his, and nobody answers there any more.
    ///
    /// # Errors
    /// The system's.
    pub fn remove(self) -> io::Result<()> {
        let LeftSocket { path, owner } = self;
        let removes = || {
            let is_his = |about: &fs::Metadata| about.file_type().is_socket() && about.uid() == owner.user;
            let is_dead =
                || UnixStream::connect(&path).is_err_and(|why| why.kind() == io::ErrorKind::ConnectionRefused);
            if fs::symlink_metadata(&path).is_ok_and(|about| is_his(&about)) && is_dead() {
                fs::remove_file(&path)?;
            }
            Ok(())
        };
        let wrong = |why: io::Error| io::Error::new(why.kind(), format!("{} stays: {why}", path.display()));
        owner.does(removes).map_err(wrong)
    }
}

/// There is nothing more to withdraw.
pub(crate) fn forget_note(folder: &Path, name: &str) -> io::Result<()> {
    let gone = fs::remove_file(note(folder, name));
    gone.or_else(|why| if why.kind() == io::ErrorKind::NotFound { Ok(()) } else { Err(why) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_served_if_any_or_all_of_its_vips_are() {
        let vip = |address: &str, port: u16| {
            format!("[[vip]]\naddress = \"{address}\"\nport = {port}\nreal = [{{ address = \"10.0.0.1\" }}]\n")
        };
        let text = "[balancer]\ndevices = [\"eth0\"]\nsource = \"10.0.0.9\"\n".to_owned()
            + &vip("192.0.2.1", 80)
            + &vip("192.0.2.1", 443)
            + &vip("192.0.2.2", 80)
            + "[[vip]]\naddress = \"192.0.2.1\"\naction = \"drop\"\n";
        let config = Config::read("lb.toml", &text).expect("it is right");
        let of = |when, well: [bool; 3]| -> Vec<String> {
            served(&config, when, &|vip| well.get(vip) == Some(&true)).iter().map(ToString::to_string).collect()
        };
        assert_eq!(of(When::Any, [true, false, false]), ["192.0.2.1"]);
        assert_eq!(of(When::All, [true, false, true]), ["192.0.2.2"]);
        assert_eq!(of(When::All, [true, true, true]), ["192.0.2.1", "192.0.2.2"]);
        assert!(of(When::Any, [false, false, false]).is_empty());
    }

    #[test]
    fn a_note_says_who_was_told_to_stand_back() {
        let folder = std::env::temp_dir().join(format!("alveary-lb-note-{}", std::process::id()));
        let of = |more: &str| {
            let text = format!("[balancer]\nname = \"noted\"\ndevices = [\"eth0\"]\n{more}");
            Config::read("lb.toml", &text).expect("it is right")
        };
        let announces = of("[announce]\nfile = \"/x.conf\"\n");
        let at = (Path::new("/x.sock"), Path::new("/bpf"));
        assert!(!was_withdrawn(&folder, "noted") && names_in(&folder).is_empty());
        let mut is_there = false;
        for withdrawn in [true, false, true] {
            let note = Note::prepare(&folder, &announces, at, withdrawn).expect("a note");
            assert_eq!(was_withdrawn(&folder, "noted"), !withdrawn && is_there, "it does not hold yet");
            is_there = true;
            note.hold().expect("it holds");
            assert_eq!(was_withdrawn(&folder, "noted"), withdrawn);
        }
        Note::prepare(&folder, &of(""), at, true).and_then(Note::hold).expect("another");
        assert!(!was_withdrawn(&folder, "noted"));
        assert_eq!((names_in(&folder), bpffs_of(&folder, "noted")), (vec!["noted".to_owned()], Some("/bpf".into())));
        fs::remove_dir_all(folder).expect("it is ours");
    }

    /// A note of the user that a balancer runs as was followed with all rights of who stopped it: it could name any file.
    #[test]
    fn a_note_writes_no_more_than_its_owner_may() {
        if !geteuid().is_root() {
            eprintln!("SKIP a_note_writes_no_more_than_its_owner_may: it takes root");
            return;
        }
        let folder = std::env::temp_dir().join(format!("alveary-lb-owned-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let (file, path) = (folder.join("routes.conf"), note(&folder, "owned"));
        let said = json!({ "file": file, "bird": folder.join("none"), "text": "other", "socket": "/x.sock" });
        fs::write(&file, "ours").expect("a file");
        fs::write(&path, said.to_string()).expect("a note");
        std::os::unix::fs::chown(&path, Some(65534), Some(65534)).expect("it is given away");
        let why = withdraw_by_note(&folder, "owned").expect_err("not in our name").to_string();
        assert!(why.contains("as user 65534, whose note asks for it"), "{why}");
        assert_eq!(fs::read_to_string(&file).expect("the file"), "ours");
        // Ours is followed, to where nobody answers; a link is not.
        std::os::unix::fs::chown(&path, Some(0), Some(0)).expect("it is ours");
        let why = withdraw_by_note(&folder, "owned").expect_err("there is no BIRD").to_string();
        assert!(why.starts_with("BIRD does not answer"), "{why}");
        assert_eq!(fs::read_to_string(&file).expect("the file"), "other");
        fs::rename(&path, folder.join("elsewhere")).expect("moved");
        std::os::unix::fs::symlink(folder.join("elsewhere"), &path).expect("a link");
        assert!(withdraw_by_note(&folder, "owned").is_err());
        fs::remove_dir_all(folder).expect("it is ours");
    }

    /// What a killed process leaves is removed; what lives, is no socket or is another's, stays.
    #[test]
    fn a_dead_socket_is_removed_by_its_owner() {
        use std::os::unix::net::UnixListener;
        let folder = std::env::temp_dir().join(format!("alveary-lb-socket-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder");
        let path = folder.join("x.sock");
        fs::write(note(&folder, "left"), json!({ "socket": path }).to_string()).expect("a note");
        let remove = || LeftSocket::of(&folder, "left", None).remove();
        remove().expect("there is none");
        let alive = UnixListener::bind(&path).expect("a socket");
        remove().expect("it lives");
        assert!(path.exists(), "somebody answers there");
        drop(alive);
        remove().expect("it is ours, and dead");
        assert!(!path.exists());
        fs::write(&path, "a file").expect("a file");
        remove().expect("it is no socket");
        LeftSocket::of(&folder, "none", Some(path.clone())).remove().expect("it is no socket");
        assert!(path.exists());
        fs::remove_file(&path).expect("it is ours");
        if geteuid().is_root() {
            // A note of somebody else's removes nothing of ours.
            drop(UnixListener::bind(&path).expect("a socket"));
            std::os::unix::fs::chown(note(&folder, "left"), Some(65534), Some(65534)).expect("it is given away");
            remove().expect("it is not his");
            assert!(path.exists());
        }
        fs::remove_dir_all(folder).expect("it is ours");
    }
}
