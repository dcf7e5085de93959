//! SASL as Event Hubs offers it: every mechanism leads in, tokens are looked at later.

use std::sync::Arc;

use fe2o3_amqp::acceptor::SaslAcceptor;
use fe2o3_amqp::acceptor::sasl_acceptor::SaslServerFrame;
use fe2o3_amqp::types::primitives::{Array, Symbol};
use fe2o3_amqp::types::sasl::{SaslCode, SaslInit, SaslOutcome, SaslResponse};

use super::broker::Broker;
use super::tokens::Credentials;

const MECHANISMS: [&str; 3] = ["MSSBCBS", "PLAIN", "ANONYMOUS"];

/// One connection's side of it.
#[derive(Clone)]
pub struct Sasl {
    pub broker: Arc<Broker>,
    pub credentials: Arc<Credentials>,
}

impl SaslAcceptor for Sasl {
    fn mechanisms(&self) -> Array<Symbol> {
        Array(MECHANISMS.map(Symbol::from).into())
    }

    fn on_init(&mut self, init: SaslInit) -> SaslServerFrame {
        let mechanism = init.mechanism.0;
        self.broker.saw_mechanism(&mechanism);
        if mechanism == "PLAIN" {
            self.credentials.show_password();
        }
        let known = MECHANISMS.contains(&mechanism.as_str());
        outcome(if known { SaslCode::Ok } else { SaslCode::Auth })
    }

    fn on_response(&mut self, _: SaslResponse) -> SaslServerFrame {
        outcome(SaslCode::Sys)
    }
}

fn outcome(code: SaslCode) -> SaslServerFrame {
    SaslServerFrame::Outcome(SaslOutcome {
        code,
        additional_data: None,
    })
}
