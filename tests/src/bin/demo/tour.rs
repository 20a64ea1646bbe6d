//! A list of everything that can be looked at after the demo, with the commands.

use anyhow::Result;
use voicemail_test_machine::progress::say;
use voicemail_tests::stage::Steps;

use crate::cast::ALICE;
use crate::setup::{NAMESPACE, Scene};

/// Advice after a failure.
pub(super) const AFTER_FAILURE: &str = "Everything was left as it is for a look (namespaces voice and voicemail-system); the next run removes it.";

/// Shows tenant and requests as users see them.
pub(super) async fn show_resources(scene: &Scene, steps: &mut Steps) -> Result<()> {
    let arguments = ["get", "vmt,gdpr", "-n", NAMESPACE, "-o", "wide"];
    let shown = steps.run("kubectl get vmt,gdpr -o wide", scene.site.run_kubectl(&arguments)).await?;
    steps.show(&shown);
    Ok(())
}

/// Tells how to look around in what was kept.
pub(super) fn describe(scene: &Scene, pages: &str) -> Result<()> {
    let kubectl = scene.site.kubectl_words();
    let audience = scene.manifest.tenant_id();
    let forwarded =
        if scene.site.cluster().is_some() { "" } else { "  once the port is forwarded, as below" };
    let lines = [
        "Everything was kept. The Inbox, whose certificate is of the tenant's own authority, which the browser asks about:"
            .to_owned(),
        format!("  {pages}{forwarded}"),
        format!("  sign in as {}", scene.people.describe()),
        "To look around:".to_owned(),
        format!("  {kubectl} get voicemail,pods,pvc,services -n {NAMESPACE}"),
        format!("  {kubectl} logs -n {NAMESPACE} -l voicemail.dev/tenant={}", scene.tenant.name()),
        format!(
            "  {kubectl} port-forward -n {NAMESPACE} service/acme-voicemail 8081 > forward.log & \
             until grep -q Forwarding forward.log; do sleep 1; done"
        ),
        format!(
            "  {kubectl} get secret -n {NAMESPACE} acme-voicemail-tls -o 'go-template={{{{index .data \"ca.crt\" | base64decode}}}}' > ca.crt"
        ),
        format!("  token=$({kubectl} create token alice -n {NAMESPACE} --audience {audience})"),
        "  curl --cacert ca.crt -H \"Authorization: Bearer $token\" \\".to_owned(),
        format!("    https://localhost:8081/api/v1/mailboxes/{ALICE}/messages"),
    ];
    say(&format!("\n{}", lines.join("\n")));
    if let Some(folder) = scene.tenant.volume_folder() {
        say(&format!("The volume's files are in {}", folder.display()));
    }
    say("The next `cargo demo` removes all this first.");
    say_what_stays(scene);
    Ok(())
}

/// Tells what goes on running.
pub(super) fn say_what_stays(scene: &Scene) {
    if scene.site.cluster().is_some() {
        say("The local Kubernetes goes on running; `cargo cluster down` ends it.");
    }
}
