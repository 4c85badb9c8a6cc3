//! The ledger, object storage, the queues and the secret store behind faults.

use std::ops::Range;
use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use domain::ids::AccountId;
use domain::ports::dead_letters::DeadLetters;
use domain::ports::ledger::{Change, DueList, Key, Ledger, LedgerError, ListPage, ListRequest, Stored};
use domain::ports::queue::{QueueError, WorkQueue};
use domain::ports::secrets::{CrmToken, CrmTokens, SecretsError, WebhookSecrets};
use domain::ports::storage::{
    BlobInfo, BlobReader, BlobSweeper, BlobWriter, CopySource, DownloadLinks, ETag, MultipartUploads, StorageError,
    UploadId, UploadedPart,
};
use domain::work::Work;
use jiff::Timestamp;
use secrecy::SecretString;

use super::{Faulty, Passage};

#[async_trait]
impl<T: Ledger + ?Sized> Ledger for Faulty<T> {
    async fn get(&self, key: &Key) -> Result<Option<Stored>, LedgerError> {
        self.call("Ledger::get", self.port.get(key), LedgerError::Unavailable).await
    }

    async fn list(&self, request: &ListRequest) -> Result<ListPage, LedgerError> {
        self.call("Ledger::list", self.port.list(request), LedgerError::Unavailable).await
    }

    async fn commit(&self, changes: &[Change]) -> Result<(), LedgerError> {
        match self.worker.arrive("Ledger::commit").await {
            Passage::Free => self.port.commit(changes).await,
            Passage::Fails(sentence) => Err(LedgerError::Unavailable(sentence)),
            Passage::LosesItsAnswer(sentence) => {
                self.port.commit(changes).await?;
                Err(LedgerError::Unavailable(sentence))
            }
            Passage::Overtaken => {
                self.port.commit(changes).await?;
                if changes.len() == 1 { Err(LedgerError::Conflict) } else { Ok(()) }
            }
            Passage::IsTheLast => {
                drop(self.port.commit(changes).await);
                self.worker.die().await
            }
        }
    }

    async fn due(&self, list: DueList, shard: u8, now: Timestamp, limit: u32) -> Result<Vec<Key>, LedgerError> {
        self.call("Ledger::due", self.port.due(list, shard, now, limit), LedgerError::Unavailable).await
    }
}

#[async_trait]
impl<T: BlobReader + ?Sized> BlobReader for Faulty<T> {
    async fn head(&self, key: &str) -> Result<Option<BlobInfo>, StorageError> {
        self.call("BlobReader::head", self.port.head(key), StorageError::Unavailable).await
    }

    async fn read(&self, key: &str, range: Option<Range<u64>>) -> Result<Bytes, StorageError> {
        self.call("BlobReader::read", self.port.read(key, range), StorageError::Unavailable).await
    }

    async fn read_source(&self, source: &CopySource) -> Result<Bytes, StorageError> {
        self.call("BlobReader::read_source", self.port.read_source(source), StorageError::Unavailable).await
    }
}

#[async_trait]
impl<T: BlobWriter + ?Sized> BlobWriter for Faulty<T> {
    async fn write_new(&self, key: &str, bytes: Bytes, content_type: &str) -> Result<ETag, StorageError> {
        let call = self.port.write_new(key, bytes, content_type);
        self.call("BlobWriter::write_new", call, StorageError::Unavailable).await
    }
}

#[async_trait]
impl<T: MultipartUploads + ?Sized> MultipartUploads for Faulty<T> {
    async fn begin(&self, key: &str, content_type: &str) -> Result<UploadId, StorageError> {
        self.call("MultipartUploads::begin", self.port.begin(key, content_type), StorageError::Unavailable).await
    }

    async fn write_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        bytes: Bytes,
    ) -> Result<UploadedPart, StorageError> {
        let call = self.port.write_part(key, upload, number, bytes);
        self.call("MultipartUploads::write_part", call, StorageError::Unavailable).await
    }

    async fn copy_part(
        &self,
        key: &str,
        upload: &UploadId,
        number: u16,
        source: &CopySource,
    ) -> Result<UploadedPart, StorageError> {
        let call = self.port.copy_part(key, upload, number, source);
        self.call("MultipartUploads::copy_part", call, StorageError::Unavailable).await
    }

    async fn parts(&self, key: &str, upload: &UploadId) -> Result<Option<Vec<UploadedPart>>, StorageError> {
        self.call("MultipartUploads::parts", self.port.parts(key, upload), StorageError::Unavailable).await
    }

    async fn complete_new(&self, key: &str, upload: &UploadId, parts: &[UploadedPart]) -> Result<ETag, StorageError> {
        let call = self.port.complete_new(key, upload, parts);
        self.call("MultipartUploads::complete_new", call, StorageError::Unavailable).await
    }

    async fn abort(&self, key: &str, upload: &UploadId) -> Result<(), StorageError> {
        self.call("MultipartUploads::abort", self.port.abort(key, upload), StorageError::Unavailable).await
    }

    async fn abort_all(&self, prefix: &str) -> Result<u64, StorageError> {
        self.call("MultipartUploads::abort_all", self.port.abort_all(prefix), StorageError::Unavailable).await
    }
}

#[async_trait]
impl<T: BlobSweeper + ?Sized> BlobSweeper for Faulty<T> {
    async fn sweep(&self, prefix: &str) -> Result<u64, StorageError> {
        self.call("BlobSweeper::sweep", self.port.sweep(prefix), StorageError::Unavailable).await
    }
}

#[async_trait]
impl<T: DownloadLinks + ?Sized> DownloadLinks for Faulty<T> {
    async fn link(&self, key: &str, file_name: &str, valid_for: Duration) -> Result<SecretString, StorageError> {
        let call = self.port.link(key, file_name, valid_for);
        self.call("DownloadLinks::link", call, StorageError::Unavailable).await
    }
}

#[async_trait]
impl<T: WorkQueue + ?Sized> WorkQueue for Faulty<T> {
    async fn send(&self, work: &[Work], delay: Duration) -> Result<(), QueueError> {
        self.call("WorkQueue::send", self.port.send(work, delay), QueueError).await
    }
}

#[async_trait]
impl<T: DeadLetters + ?Sized> DeadLetters for Faulty<T> {
    async fn peek(&self) -> Result<Vec<Work>, QueueError> {
        self.call("DeadLetters::peek", self.port.peek(), QueueError).await
    }
}

#[async_trait]
impl<T: CrmTokens + ?Sized> CrmTokens for Faulty<T> {
    async fn token(&self, account: &AccountId) -> Result<Option<CrmToken>, SecretsError> {
        self.call("CrmTokens::token", self.port.token(account), SecretsError::Unavailable).await
    }

    async fn store_token(&self, account: &AccountId, token: &CrmToken) -> Result<(), SecretsError> {
        let call = self.port.store_token(account, token);
        self.call("CrmTokens::store_token", call, SecretsError::Unavailable).await
    }
}

#[async_trait]
impl<T: WebhookSecrets + ?Sized> WebhookSecrets for Faulty<T> {
    async fn webhook_secret(&self, account: &AccountId) -> Result<Option<SecretString>, SecretsError> {
        let call = self.port.webhook_secret(account);
        self.call("WebhookSecrets::webhook_secret", call, SecretsError::Unavailable).await
    }

    async fn store_webhook_secret(&self, account: &AccountId, secret: &SecretString) -> Result<(), SecretsError> {
        let call = self.port.store_webhook_secret(account, secret);
        self.call("WebhookSecrets::store_webhook_secret", call, SecretsError::Unavailable).await
    }

    async fn tidy(&self, account: &AccountId) -> Result<(), SecretsError> {
        self.call("WebhookSecrets::tidy", self.port.tidy(account), SecretsError::Unavailable).await
    }
}
