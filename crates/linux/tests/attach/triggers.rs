//! What makes attached programs run: packets, sockets, system calls of this process.

use super::{lab::Lab, probed};
use alveary_linux::attach::Device;
use std::{
    fs,
    io::{Read, Write},
    net::{TcpListener, TcpStream, UdpSocket},
    os::{
        fd::{AsRawFd, FromRawFd},
        unix::net::UnixDatagram,
    },
    path::PathBuf,
    time::Duration,
};

/// No packet takes longer in one machine; nothing waits so long unless it is lost.
const PATIENCE: Duration = Duration::from_secs(2);

/// Sockets of each kind are made, bound, connected, used, asked and closed; a sysctl is read, a device opened.
pub(crate) fn sockets() {
    for address in ["127.0.0.1:0", "[::1]:0"] {
        let Ok(receiver) = UdpSocket::bind(address) else { continue };
        drop(receiver.set_read_timeout(Some(PATIENCE)));
        let Ok(to) = receiver.local_addr() else { continue };
        let Ok(sender) = UdpSocket::bind(address) else { continue };
        drop(sender.send_to(b"unconnected", to));
        drop(receiver.recv_from(&mut [0; 64]));
        drop(sender.connect(to));
        drop(sender.peer_addr());
        drop(sender.send(b"connected"));
        drop(receiver.recv_from(&mut [0; 64]));
        drop(sender.set_broadcast(true));
        drop(sender.broadcast());
        talk(address);
    }
    unix();
    drop(fs::read("/proc/sys/kernel/osrelease"));
    drop(fs::File::open("/dev/null"));
}

/// A few bytes over TCP, and back.
pub(crate) fn talk(address: &str) {
    let Some((mut client, mut server)) = connected(address) else { return };
    drop(client.write_all(b"question"));
    drop(server.read(&mut [0; 64]));
    drop(server.write_all(b"answer"));
    drop(client.read(&mut [0; 64]));
}

/// Two ends of a connection.
pub(crate) fn connected(address: &str) -> Option<(TcpStream, TcpStream)> {
    let listener = TcpListener::bind(address).ok()?;
    let client = TcpStream::connect(listener.local_addr().ok()?).ok()?;
    let (server, _) = listener.accept().ok()?;
    for end in [&client, &server] {
        end.set_read_timeout(Some(PATIENCE)).ok()?;
    }
    Some((client, server))
}

fn unix() {
    let path = |name: &str| PathBuf::from(format!("/tmp/alveary-{}-{name}", std::process::id()));
    let (here, there) = (path("a"), path("b"));
    if let (Ok(sender), Ok(receiver)) = (UnixDatagram::bind(&here), UnixDatagram::bind(&there)) {
        drop(receiver.set_read_timeout(Some(PATIENCE)));
        drop(sender.send_to(b"unconnected", &there));
        drop(receiver.recv_from(&mut [0; 64]));
        drop(sender.connect(&there));
        drop(sender.peer_addr());
        drop(sender.local_addr());
    }
    drop(fs::remove_file(here));
    drop(fs::remove_file(there));
}

/// A packet to a port that nobody listens on.
pub(crate) fn nobody() {
    if let Ok(sender) = UdpSocket::bind("127.0.0.1:0") {
        drop(sender.send_to(b"anybody?", "127.0.0.1:9"));
    }
}

/// A frame that leaves by the laboratory's device.
pub(crate) fn outgoing(lab: &Lab) {
    frame(lab, &lab.device, 0x0800, &[0x45; 46]);
}

/// A packet that a route of the laboratory takes.
pub(crate) fn routed() {
    send_to("10.9.9.1:9");
}

pub(crate) fn send_to(address: &str) {
    if let Ok(sender) = UdpSocket::bind("0.0.0.0:0") {
        drop(sender.send_to(b"out", address));
    }
}

/// A frame that arrives at the laboratory's device: IPv4, to an address behind it.
pub(crate) fn incoming(lab: &Lab) {
    let udp = [0, 9, 0, 9, 0, 8, 0, 0];
    let mut packet = vec![0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 9, 0, 2, 10, 9, 9, 1];
    let sum: u32 = packet.chunks(2).map(|pair| u32::from(pair[0]) << 8 | u32::from(pair[1])).sum();
    let sum = !((sum & 0xffff) + (sum >> 16)) as u16;
    packet[10..12].copy_from_slice(&sum.to_be_bytes());
    packet.extend(udp);
    frame(lab, &lab.peer, 0x0800, &packet);
}

/// A frame that arrives at the laboratory's device: IPv6 with a segment routing header, to the segment `fc00:e::1`.
pub(crate) fn segment(lab: &Lab) {
    let address = |first: [u8; 4]| [&first[..], &[0; 11], &[1]].concat();
    let (source, segment, last) = (address([0xfc, 0, 0, 9]), address([0xfc, 0, 0, 0xe]), address([0xfc, 0, 0, 0xa]));
    // Routing header: no next, 4 × 8 bytes more, type 4, one segment left, the last entry is 1.
    let mut srh = vec![59, 4, 4, 1, 1, 0, 0, 0];
    srh.extend(last);
    srh.extend(&segment);
    let mut packet = vec![0x60, 0, 0, 0, 0, srh.len() as u8, 43, 64];
    packet.extend(source);
    packet.extend(segment);
    packet.extend(srh);
    frame(lab, &lab.peer, 0x86dd, &packet);
}

/// Sends a frame out of a device, with the address of the laboratory's as its destination.
fn frame(lab: &Lab, from: &Device, protocol: u16, packet: &[u8]) {
    let mut bytes = hardware_address(lab).unwrap_or([0xff; 6]).to_vec();
    bytes.extend([2, 0, 0, 0, 0, 1]);
    bytes.extend(protocol.to_be_bytes());
    bytes.extend(packet);
    // SAFETY: plain system calls; the address is as long as is said, and the bytes live until they are sent.
    unsafe {
        let socket = libc::socket(libc::AF_PACKET, libc::SOCK_RAW | libc::SOCK_CLOEXEC, 0);
        let mut to: libc::sockaddr_ll = std::mem::zeroed();
        to.sll_family = libc::AF_PACKET as u16;
        to.sll_ifindex = from.index as i32;
        let len = size_of_val(&to) as libc::socklen_t;
        libc::sendto(socket, bytes.as_ptr().cast(), bytes.len(), 0, (&raw const to).cast(), len);
        libc::close(socket);
    }
}

fn hardware_address(lab: &Lab) -> Option<[u8; 6]> {
    let socket = UdpSocket::bind("127.0.0.1:0").ok()?;
    // SAFETY: the request holds a name that ends in a zero, and is what the call fills in.
    unsafe {
        let mut request: libc::ifreq = std::mem::zeroed();
        for (to, from) in request.ifr_name.iter_mut().zip(lab.device.name.bytes().take(15)) {
            *to = from as libc::c_char;
        }
        let done = libc::ioctl(socket.as_raw_fd(), libc::SIOCGIFHWADDR as _, &raw mut request);
        let bytes = request.ifr_ifru.ifru_hwaddr.sa_data;
        (done == 0).then(|| std::array::from_fn(|at| bytes[at] as u8))
    }
}

/// A system call that changes nothing.
pub(crate) fn getppid() {
    // SAFETY: it takes nothing.
    unsafe { libc::syscall(libc::SYS_getppid) };
}

/// A system call that asks the security modules.
pub(crate) fn getpgid() {
    // SAFETY: it takes a number.
    unsafe { libc::syscall(libc::SYS_getpgid, std::process::id()) };
}

/// The functions that are probed.
pub(crate) fn functions() {
    probed::alveary_probed_function(1);
}

/// The static probe.
pub(crate) fn probe() {
    probed::statically_probed(7);
}

/// Work, for whoever samples it.
pub(crate) fn work() {
    let mut sum = 0u64;
    for number in 0..20_000_000u64 {
        sum = std::hint::black_box(sum ^ number);
    }
}

/// Packets between the two ends of the netkit pair: each end asks for neighbours.
pub(crate) fn neighbours(lab: &Lab) {
    let Some((_, peer)) = &lab.netkit else { return };
    super::lab::ip(&format!("addr add 10.9.3.1/24 dev {}", peer.name));
    send_to("10.9.3.77:9");
}

/// A socket that shares its port.
pub(crate) fn group() -> UdpSocket {
    // SAFETY: plain system calls; the option is a number, the address is as long as is said, and the descriptor is new.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_DGRAM | libc::SOCK_CLOEXEC, 0);
        let yes: libc::c_int = 1;
        let len = size_of_val(&yes) as libc::socklen_t;
        libc::setsockopt(socket, libc::SOL_SOCKET, libc::SO_REUSEPORT, (&raw const yes).cast(), len);
        let mut address: libc::sockaddr_in = std::mem::zeroed();
        address.sin_family = libc::AF_INET as u16;
        address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
        libc::bind(socket, (&raw const address).cast(), size_of_val(&address) as libc::socklen_t);
        UdpSocket::from_raw_fd(socket)
    }
}
