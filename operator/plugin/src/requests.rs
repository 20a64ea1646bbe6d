//! `kubectl voicemail gdpr …`: data-subject requests, the files of an export, and the proof of a receipt.

use super::PluginError;
use super::arguments::Reach;
use super::place::Place;
use super::reach::TenantApi;
use super::status::conditions;
use super::table::{age, count, render, time};
use jiff::Timestamp;
use kube::ResourceExt;
use std::fs::File;
use std::io::Read;
use std::path::Path;
use voicemail_api::percent::encode_segment;
use voicemail_api::proofs::{ProofError, verify_receipt};
use voicemail_resources::gdpr_request::{GdprOperation, GdprRequest, Phase};
use voicemail_resources::voicemail_tenant::Role;

/// A line for each.
pub(super) async fn list(place: &Place, tenant: Option<&str>) -> Result<String, PluginError> {
    let now = Timestamp::now();
    let found = place.requests(tenant).await?;
    let rows: Vec<_> = found.readable.iter().map(|request| row(request, now)).collect();
    let header =
        ["NAME", "TENANT", "OPERATION", "CASE", "PHASE", "MATCHED", "ERASED", "EXPORTED", "DUE", "AGE"];
    Ok(render(&header, &rows) + &found.warnings())
}

fn row(request: &GdprRequest, now: Timestamp) -> Vec<String> {
    let status = request.status.clone().unwrap_or_default();
    vec![
        request.name_any(),
        request.spec.tenant_ref.name.clone(),
        format!("{:?}", request.spec.operation),
        request.spec.case_id.clone(),
        format!("{:?}", status.phase),
        count(status.matched),
        count(status.erased),
        count(status.exported),
        time(status.due_at.as_ref()),
        age(request.metadata.creation_timestamp.as_ref(), now),
    ]
}

/// One request with its times, counts, regions and conditions.
pub(super) async fn show(place: &Place, name: &str) -> Result<String, PluginError> {
    Ok(describe(&place.request(name).await?, Timestamp::now()))
}

fn describe(request: &GdprRequest, now: Timestamp) -> String {
    let (spec, status) = (&request.spec, request.status.clone().unwrap_or_default());
    let mut lines = vec![
        ("Request", voicemail_runtime::place::place_of(request)),
        ("Tenant", spec.tenant_ref.name.clone()),
        ("Operation", format!("{:?}", spec.operation)),
        ("Case", spec.case_id.clone()),
        ("Phase", format!("{:?}", status.phase)),
    ];
    for (name, at) in [
        ("Received", &status.received_at),
        ("Due", &status.due_at),
        ("Approved", &status.approved_at),
        ("Hidden", &status.marked_at),
        ("Undo until", &status.undo_deadline),
        ("Erased at", &status.erased_at),
        ("Ended", &status.finished_at),
        ("Fetch until", &status.expires_at),
        ("Backups until", &status.backups_clear_after),
    ] {
        lines.extend(at.as_ref().map(|at| (name, at.0.to_string())));
    }
    for (name, number) in [
        ("Matched", status.matched),
        ("Hidden", status.marked),
        ("Erased", status.erased),
        ("Held", status.held),
        ("Waiting", status.failed),
        ("Exported", status.exported),
        ("Found late", status.late),
    ] {
        lines.extend(number.map(|number| (name, format!("{number} messages"))));
    }
    lines.extend(status.receipt.clone().map(|path| ("Receipt", path)));
    let head: String =
        lines.iter().map(|(name, value)| format!("{:<15}{value}\n", format!("{name}:"))).collect();
    let rows: Vec<_> = status
        .regions
        .iter()
        .map(|region| {
            let error = region.last_error.clone().unwrap_or_default();
            vec![region.name.clone(), region.matched.to_string(), region.erased.to_string(), error]
        })
        .collect();
    let regions = match rows.is_empty() {
        true => String::new(),
        false => format!("\n{}", render(&["REGION", "MATCHED", "ERASED", "ERROR"], &rows)),
    };
    format!("{head}{regions}\n{}", conditions(&status.conditions, now))
}

/// Fetches and unpacks the files of an export.
pub(super) async fn export(
    place: &Place,
    name: &str,
    folder: &Path,
    reach: &Reach,
) -> Result<String, PluginError> {
    let request = place.request(name).await?;
    check_exported(&request)?;
    let tenant = place.tenant(&request.spec.tenant_ref.name).await?;
    let api = TenantApi::open(place, &tenant, Role::Privacy, reach).await?;
    let path = format!("gdpr/cases/{}/export", encode_segment(&request.spec.case_id));
    std::fs::create_dir_all(folder)?;
    let archive = folder.join(".export.tar.part");
    let unpacked = match api.download(&path, &archive).await {
        Ok(()) => unpack(&archive, folder),
        Err(error) => Err(error),
    };
    // It holds personal data: it goes, whatever happened.
    let removed = std::fs::remove_file(&archive);
    let names = unpacked?;
    removed?;
    Ok(names.iter().map(|name| format!("{}\n", folder.join(name).display())).collect())
}

/// Only an export that has ended and is still kept has files.
fn check_exported(request: &GdprRequest) -> Result<(), PluginError> {
    let name = request.name_any();
    let phase = request.status.as_ref().map(|status| status.phase).unwrap_or_default();
    let until = request.status.as_ref().and_then(|status| status.expires_at.as_ref());
    match (request.spec.operation, phase) {
        (GdprOperation::ExportMe, Phase::Completed)
            if until.is_some_and(|until| until.0 <= Timestamp::now()) =>
        {
            let words = format!("the files of {name} are gone: they could be fetched until {}", time(until));
            Err(PluginError::NotThere(words))
        }
        (GdprOperation::ExportMe, Phase::Completed) => Ok(()),
        (GdprOperation::ExportMe, phase) => {
            let words = format!("{name} is {phase:?}: its files are there once it is Completed");
            Err(PluginError::NotThere(words))
        }
        (operation, _) => Err(PluginError::NotThere(format!("{name} is a {operation:?}, and no export"))),
    }
}

/// Names with a path are refused. Files are the caller's alone.
fn unpack(archive: &Path, folder: &Path) -> Result<Vec<String>, PluginError> {
    let mut names = Vec::new();
    let mut archive = tar::Archive::new(File::open(archive)?);
    for entry in archive.entries()? {
        let mut entry = entry?;
        let path = entry.path()?.into_owned();
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned());
        let plain = name.filter(|_| path.components().count() == 1);
        let Some(name) = plain else {
            return Err(PluginError::Local("the archive holds a path, which was not unpacked".into()));
        };
        let mut content = Vec::new();
        entry.read_to_end(&mut content)?;
        super::report::write_private(&folder.join(&name), &content)?;
        names.push(name);
    }
    names.sort();
    Ok(names)
}

/// The receipt's words, if they are genuine.
pub(super) fn verify(receipt: &Path, key: &Path) -> Result<String, PluginError> {
    let read = |path: &Path| {
        let fault = |error| PluginError::Local(format!("{}: {error}", path.display()));
        std::fs::read_to_string(path).map_err(fault)
    };
    match verify_receipt(&read(receipt)?, &read(key)?) {
        Ok(words) => Ok(format!("{words}\n")),
        Err(ProofError::NoKey) => {
            Err(PluginError::Local(format!("{}: there is no public key in it", key.display())))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn request(file: &str, status: &str) -> GdprRequest {
        serde_yaml::from_str(&format!("{file}\nstatus: {status}\n")).unwrap()
    }

    const EXPORT: &str = include_str!("../../../examples/gdpr/export.yaml");
    const FORGET: &str = include_str!("../../../examples/gdpr/forget.yaml");

    #[test]
    fn only_a_completed_export_has_files() {
        check_exported(&request(EXPORT, "{phase: Completed}")).unwrap();
        let why = |file, status| check_exported(&request(file, status)).unwrap_err().to_string();
        assert!(why(EXPORT, "{phase: Searching}").contains("is Searching"));
        assert!(why(FORGET, "{phase: Completed}").contains("no export"));
    }

    #[test]
    fn a_request_is_shown_with_what_is_known_of_it_only() {
        let shown = describe(
            &request(FORGET, "{phase: Marked, marked: 3, dueAt: '2026-02-01T00:00:00Z'}"),
            Timestamp::UNIX_EPOCH,
        );
        for line in [
            "Phase:         Marked\n",
            "Hidden:        3 messages\n",
            "Due:           2026-02-01T00:00:00Z\n",
        ] {
            assert!(shown.contains(line), "{line:?} is not in\n{shown}");
        }
        assert!(!shown.contains("Exported"), "{shown}");
    }

    #[test]
    fn an_archive_with_a_path_is_not_unpacked() {
        let folder = std::env::temp_dir().join(format!("plugin-unpack-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        let archive = folder.join("a.tar");
        let mut header = tar::Header::new_old();
        header.set_size(0);
        let mut builder = tar::Builder::new(File::create(&archive).unwrap());
        builder.append_data(&mut header, "down/below.wav", std::io::empty()).unwrap();
        builder.finish().unwrap();
        assert!(unpack(&archive, &folder).is_err());
        std::fs::remove_dir_all(&folder).unwrap();
    }
}
