//! A balancer between clients and servers that nobody here wrote.

mod nginx;
mod quic;
mod site;
