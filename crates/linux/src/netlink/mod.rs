//! Netlink, as far as programs and segment routing need it: devices and their addresses, XDP of a device, `clsact` and its filters, routes with
//! lightweight tunnels. Messages are written and read by our own few lines: the libraries for netlink that exist know neither the
//! attributes of `cls_bpf` nor of routes with BPF.
//!
//! Holds no policy: what is asked for is asked of the kernel, what it answers is given back.

mod device;
mod message;
mod route;
mod socket;
pub mod srv6;
mod tc;
mod tc_list;
mod way;
mod xdp;

pub use device::{add_address, add_veth, discipline, ethernet_address, set_device};
pub use message::Refusal;
pub use route::{Hook, Route, Tunnel};
pub use tc::{Filter, Parent, filters};
pub(crate) use tc::{add_clsact, add_filter, delete_clsact, delete_filter};
pub use tc_list::{Action, ListedFilter, listed_filters};
pub use way::{Asked, WayOut, way_out};
pub use xdp::{DeviceXdp, NetDevice, SetXdp, XdpSlot, device_xdp, devices, set_xdp};

/// `IFF`-independent address families of the UAPI that messages name.
pub(crate) const AF_UNSPEC: u8 = 0;
