//! What callers and owners of mailboxes do.

use super::{Actor, CALLERS, ENOUGH};
use crate::book::{Act, Message};
use crate::client::{Answer, Asked};
use crate::judge;
use crate::sounds::recording;
use reqwest::StatusCode;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

fn unexpected(what: &str, status: StatusCode, body: &[u8]) -> String {
    format!("{what} is answered {status}: {}", String::from_utf8_lossy(body))
}

impl Actor {
    /// Leaves a message; in a mailbox with many it deletes one.
    pub(super) async fn deposit(&mut self) -> Result<(), String> {
        let mailbox = self.random.choose(&self.scene.mailboxes()).clone();
        if self.scene.listed.lock().get(&mailbox).is_some_and(|listed| *listed > ENOUGH) {
            return self.delete(Some(&mailbox)).await;
        }
        let (caller, sound, id) =
            (self.random.below(CALLERS), self.scene.next_sound(), uuid::Uuid::now_v7().to_string());
        let made = Act::begin();
        let message = Message {
            mailbox: mailbox.clone(),
            id: Some(id.clone()),
            sound,
            caller,
            made,
            left: made,
            deletion: None,
            attempts: Vec::new(),
            refused: None,
        };
        let place = self.write_down(message);
        let (wav, number) = (recording(sound), self.scene.number_of(caller));
        let asked = self.scene.client.ask_noting(&mut self.random, "front", |http, url| {
            let form = Form::new().text("caller", number.clone()).part("audio", Part::bytes(wav.clone()));
            let post = http.post(format!("{url}/mailboxes/{mailbox}/messages"));
            post.header("idempotency-key", &id).multipart(form)
        });
        let asked = asked.await;
        let answer = self.take_attempts(place, asked)?;
        let mut book = self.scene.book();
        if answer.status != StatusCode::CREATED {
            // It was left while its caller was being erased: then it is refused, or it goes.
            book.messages[place].refused = Some(answer.ended);
            let message = &book.messages[place];
            let erased = book.forgets.iter().any(|forget| forget.may_refuse(message));
            return if erased { Ok(()) } else { Err(unexpected("a deposit", answer.status, &answer.body)) };
        }
        let message = &mut book.messages[place];
        message.made.acknowledge();
        message.left = message.made;
        drop(book);
        self.scene.count("deposit");
        Ok(())
    }

    /// Begins a line of the book.
    fn write_down(&self, message: Message) -> usize {
        let mut book = self.scene.book();
        book.messages.push(message);
        book.messages.len() - 1
    }

    /// Writes down what became of each attempt.
    fn take_attempts(&self, place: usize, asked: Asked) -> Result<Answer, String> {
        self.scene.book().messages[place].attempts = asked.attempts;
        asked.answer
    }

    /// A message that was acknowledged and not deleted, with its place in the book.
    fn pick(&mut self, within: Option<&str>) -> Option<(usize, Message)> {
        let book = self.scene.book();
        let fits = |message: &Message| {
            let known = message.id.is_some() && message.made.acknowledged.is_some();
            known && message.deletion.is_none() && within.is_none_or(|mailbox| message.mailbox == mailbox)
        };
        let all: Vec<usize> = (0..book.messages.len()).filter(|place| fits(&book.messages[*place])).collect();
        let place = *all.get(self.random.below(all.len()))?;
        Some((place, book.messages[place].clone()))
    }

    /// Plays a message, which may be gone.
    pub(super) async fn listen(&mut self) -> Result<(), String> {
        let Some((place, message)) = self.pick(None) else { return Ok(()) };
        judge::judge_audio(&self.scene, &mut self.random, place, &message).await?;
        self.scene.count("listen");
        Ok(())
    }

    /// Lists a mailbox.
    pub(super) async fn list(&mut self) -> Result<(), String> {
        let mailbox = self.random.choose(&self.scene.mailboxes()).clone();
        let listed = judge::judge_list(&self.scene, &mut self.random, &mailbox).await?;
        self.scene.listed.lock().insert(mailbox, listed.len());
        self.scene.count("list");
        Ok(())
    }

    /// Deletes a message.
    pub(super) async fn delete(&mut self, within: Option<&str>) -> Result<(), String> {
        let Some((place, message)) = self.pick(within) else { return Ok(()) };
        let begun = {
            let deletion = &mut self.scene.book().messages[place].deletion;
            // Somebody else was faster.
            deletion.is_none() && deletion.replace(Act::begin()).is_none()
        };
        if !begun {
            return Ok(());
        }
        let path = format!("mailboxes/{}/messages/{}", message.mailbox, message.id.unwrap_or_default());
        let answer = self
            .scene
            .client
            .ask(&mut self.random, &self.scene.owner, |http, url| http.delete(format!("{url}/{path}")));
        let answer = answer.await?;
        match answer.status {
            StatusCode::OK => {
                let mut book = self.scene.book();
                book.messages[place].deletion.iter_mut().for_each(Act::acknowledge);
                self.scene.count("delete");
                Ok(())
            }
            // Hidden, or deleted by an attempt that wasn't answered: nobody knows.
            StatusCode::NOT_FOUND => Ok(()),
            status => Err(unexpected("a deletion", status, &answer.body)),
        }
    }

    /// Forwards a message to another mailbox.
    pub(super) async fn forward(&mut self) -> Result<(), String> {
        let Some((_, original)) = self.pick(None) else { return Ok(()) };
        let to = self.random.choose(&self.scene.mailboxes()).clone();
        if to == original.mailbox {
            return Ok(());
        }
        let copy = Message {
            mailbox: to.clone(),
            id: None,
            made: Act::begin(),
            deletion: None,
            attempts: Vec::new(),
            ..original.clone()
        };
        let place = self.write_down(copy);
        let path =
            format!("mailboxes/{}/messages/{}/forward", original.mailbox, original.id.unwrap_or_default());
        let key = uuid::Uuid::now_v7().to_string();
        let asked = self.scene.client.ask_noting(&mut self.random, &self.scene.owner, |http, url| {
            http.post(format!("{url}/{path}")).header("idempotency-key", &key).json(&json!({ "to": [&to] }))
        });
        let asked = asked.await;
        let answer = self.take_attempts(place, asked)?;
        match answer.status {
            StatusCode::OK => self.take_copy(place, &answer),
            // The original is hidden or gone; an attempt that wasn't answered may have made the copy before.
            StatusCode::NOT_FOUND => {
                self.scene.book().messages[place].refused = Some(answer.ended);
                Ok(())
            }
            status => Err(unexpected("a forward", status, &answer.body)),
        }
    }

    fn take_copy(&self, place: usize, answer: &Answer) -> Result<(), String> {
        let told: Value = serde_json::from_slice(&answer.body).map_err(|error| error.to_string())?;
        let mut book = self.scene.book();
        let Some(id) = told["forwarded"][0]["id"].as_str() else {
            // A copy of what is being erased is refused.
            book.messages[place].refused = Some(answer.ended);
            return Ok(());
        };
        book.messages[place].id = Some(id.to_owned());
        book.messages[place].made.acknowledge();
        drop(book);
        self.scene.count("forward");
        Ok(())
    }
}
