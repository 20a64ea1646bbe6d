//! The telephone side on real parts: a core and the program as processes, and a telephone and a mail server from Debian.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod connections;
mod dashboard;
mod datagrams;
mod email_pages;
mod emails;
mod english;
mod families;
mod faults;
mod forged;
mod hearing;
mod mail_server;
mod message_waiting;
mod messages;
mod outbound;
mod owners;
mod phone;
mod prompts;
mod scene;
mod unsolicited;
mod users;
