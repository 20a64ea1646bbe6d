//! Reception: what a media server plays to a caller, and what it allows, before it records.
//!
//! One read each of the mailbox's index, its settings and the tenant's greetings, side by side. The answer is true at that moment
//! only: the deposit is admitted anew.

use super::{MailboxError, Mailboxes};
use voicemail_api::config::{ClassOfService, ReceptionConfig};
use voicemail_model::Quota;
use voicemail_model::{
    Greeting, GreetingPlace, MailboxGreeting, MailboxId, MailboxSettings, Preferences, Room, TenantGreeting,
    TenantGreetings,
};
use voicemail_store::Key;

/// The greeting, choices and limits for a caller who is put through to a mailbox.
#[derive(Clone, Debug, PartialEq)]
pub struct Reception {
    /// Played first.
    pub disclaimer: Option<Greeting>,
    /// Played then; without one the media server says something of its own.
    pub greeting: Option<(GreetingPlace, Greeting)>,
    /// The owner's name, for what the media server says.
    pub name: Option<Greeting>,
    /// Limits of the mailbox's class.
    pub class: ClassOfService,
    /// Messages that the mailbox takes until it is full.
    pub left: u32,
    /// It holds as much as its class allows.
    pub full: bool,
    /// It was closed.
    pub closed: bool,
    /// The mailbox's preferences, completed by the tenant's defaults.
    pub preferences: Preferences,
}

impl Mailboxes {
    /// The media server's instructions for a call now.
    ///
    /// # Errors
    /// `UnknownMailbox`, or the store's.
    pub async fn reception(&self, mailbox: &MailboxId) -> Result<Reception, MailboxError> {
        let context = &self.context;
        let (indexes, documents) = (context.indexes(), context.documents());
        let (own, common) = (Key::settings(mailbox), Key::tenant_greetings());
        let (index, settings, tenant) = tokio::try_join!(
            indexes.load(mailbox),
            documents.load::<MailboxSettings>(&own),
            documents.load::<TenantGreetings>(&common),
        )?;
        let index = index.ok_or(MailboxError::UnknownMailbox)?;
        let settings = settings.unwrap_or_default().as_of(index.generation);
        let tenant = tenant.unwrap_or_default();
        let config = context.config();
        let class = context.class_named(&settings.class_of_service);
        let preferences = fill_up(&settings.preferences, &config.reception);
        let own = settings.greetings.in_force(context.world().now(), &zone(&preferences));
        let own = own.map(|(kind, greeting)| (GreetingPlace::Mailbox(mailbox.clone(), kind), greeting));
        let usual = || Some((GreetingPlace::Tenant(TenantGreeting::Default), tenant.default.as_ref()?));
        let greeting = own.or_else(usual).map(|(place, greeting)| (place, greeting.clone()));
        let left = class.max_messages.saturating_sub(u32::try_from(index.listed()).unwrap_or(u32::MAX));
        Ok(Reception {
            disclaimer: tenant.disclaimer.clone(),
            greeting,
            name: settings.greetings.get(MailboxGreeting::Name).cloned(),
            left,
            full: index.room(&Quota::of(&class)) != Room::Free,
            class,
            closed: index.closed,
            preferences,
        })
    }
}

fn fill_up(own: &Preferences, usual: &ReceptionConfig) -> Preferences {
    Preferences {
        opt_out: own.opt_out.clone().or_else(|| usual.opt_out.clone()),
        language: own.language.clone().or_else(|| usual.language.clone()),
        time_zone: own.time_zone.clone().or_else(|| usual.time_zone.clone()),
        unknown: serde_json::Map::new(),
    }
}

/// A zone was checked when it was set; one that went from the data base since counts as UTC.
fn zone(preferences: &Preferences) -> jiff::tz::TimeZone {
    let name = preferences.time_zone.as_deref().unwrap_or("UTC");
    jiff::tz::TimeZone::get(name).unwrap_or(jiff::tz::TimeZone::UTC)
}
