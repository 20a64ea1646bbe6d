//! The telephone: the tenant gets one, a phone beside the cluster leaves a message, another dials 5555 and hears it, and the
//! MWI's notifications are shown. On the local cluster alone, whose pods are reached from here.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use voicemail_resources::VoicemailTenant;
use voicemail_resources::conditions::{ConditionStatus, TELEPHONY_READY};
use voicemail_test_machine::speech::{Coding, Studio, sound_of};
use voicemail_test_machine::workspace_path;
use voicemail_tests::stage::Steps;
use voicemail_tests::telephone::{Own, Telephone};
use voicemail_tests::tenant_manifest::wait_condition;

use crate::cast::DIALLED;
use crate::rooms::Rooms;
use crate::setup::{NAMESPACE, Scene};

/// As the PBX dials it: the example's rule makes it the mailbox.
const CALLED: &str = "+442079460042";
const PIN: &str = "739154";
const PATIENCE: Duration = Duration::from_secs(120);
const WORDS: &str = "Alice, this is a telephone. Dial five five five five.";

/// Dials.
pub(super) async fn dial(scene: &Scene, rooms: &Rooms, steps: &mut Steps) -> Result<()> {
    if scene.site.cluster().is_none() {
        steps.show("the telephone is shown on the local cluster: pods of this one aren't reached from here");
        return Ok(());
    }
    let phone =
        steps.run("the tenant gets a telephone, and its pods take calls", give_telephone(scene)).await?;
    let talk = async {
        rooms.alice.set_pin(DIALLED, PIN).await?;
        let told = ["Voice-Message: 0/0", "Voice-Message: 1/0", "Voice-Message: 0/1"];
        let phone_mwi = phone.watch(DIALLED, &told).await?;
        let said = sound_of(&Studio::open()?.speak(WORDS, Coding::MuLaw)?)?.to_vec();
        phone.leave_and_hear(CALLED, &rooms.alice, Own { mailbox: DIALLED, pin: PIN }, &said).await?;
        phone_mwi.await?.context("watching the MWI")
    };
    let told =
        steps.run("a phone leaves a message; another dials 5555 and hears the same bytes", talk).await?;
    steps.show(&format!("NOTIFY, one after another:\n{}", told.join("\n")));
    Ok(())
}

/// The telephone of the example, whose phones are this machine's.
async fn give_telephone(scene: &Scene) -> Result<Telephone> {
    let text = std::fs::read_to_string(workspace_path("examples/telephony-tenant.yaml"))?;
    let example: Value = serde_yaml::from_str(&text)?;
    let mut telephony = example["spec"]["telephony"].clone();
    ensure!(telephony.is_object(), "the example has no telephone");
    telephony["trunks"][0]["addresses"] = json!(["10.0.0.0/8", "fd00::/8"]);
    let patch = json!({"spec": {"telephony": telephony}}).to_string();
    let name = scene.tenant.name();
    let arguments = ["patch", "vmt", name, "-n", NAMESPACE, "--type=merge", "-p", &patch];
    scene.site.run_kubectl(&arguments).await?;
    let tenants: kube::Api<VoicemailTenant> = scene.site.api(NAMESPACE)?;
    let wanted = (TELEPHONY_READY, ConditionStatus::True, "Serving");
    wait_condition(&tenants, name, wanted, PATIENCE).await?;
    Telephone::of(&scene.site, NAMESPACE, name).await
}
