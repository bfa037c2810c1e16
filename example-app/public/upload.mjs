// Uploads one file after the other, tells how far it is, and asks before it replaces one. Without this, it is a form.
import { showListing } from './filter.mjs';

const form = document.querySelector('.upload form');
const texts = form && JSON.parse(form.dataset.texts);
let sending = 0;

const button = (text, press) => {
  const made = document.createElement('button');
  Object.assign(made, { type: 'button', className: 'button quiet', textContent: text, onclick: press });
  return made;
};

function addItem(file) {
  const item = document.createElement('li');
  const name = document.createElement('strong');
  Object.assign(name, { textContent: file.name, dir: 'auto', translate: false });
  const progress = Object.assign(document.createElement('progress'), { max: 1, value: 0, ariaLabel: file.name });
  const told = document.createElement('span');
  item.append(name, progress, told);
  form.querySelector('.sending').append(item);
  const tell = (text, state = '', ...buttons) => {
    told.replaceChildren(text, ...buttons);
    item.className = state;
  };
  tell(texts.waiting);
  return { progress, tell };
}

/** Sends one file, and gives its outcome. */
function send(file, replace, { progress, tell }) {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    const fields = new FormData();
    fields.append('replace', replace ? 'yes' : 'no');
    fields.append('size', file.size);
    fields.append('file', file);
    request.upload.onprogress = ({ loaded, total }) => {
      progress.value = loaded / total;
    };
    request.onload = () => {
      const [answer] = request.response?.files ?? [];
      if (request.status === 401) location.assign(form.action);
      resolve(answer ?? { outcome: 'unavailable', message: texts.outcomes.unavailable });
    };
    request.onerror = () => resolve({ outcome: 'offline', message: texts.offline });
    request.onabort = () => resolve({ outcome: 'cancelled', message: texts.cancelled });
    request.open('POST', form.action);
    request.responseType = 'json';
    request.setRequestHeader('Accept', 'application/json');
    tell(
      '',
      'busy',
      button(texts.cancel, () => request.abort()),
    );
    request.send(fields);
  });
}

const isThere = async ({ name }) => {
  const answer = await fetch(`${form.dataset.find}/${encodeURIComponent(name)}`).catch(() => undefined);
  return answer?.ok && (await answer.json()).found;
};

/** @returns whether the file is in the folder now. */
async function upload(file, item) {
  if (file.size > form.dataset.largest) {
    item.tell(texts.outcomes.large, 'failed');
    return false;
  }
  let replace = form.elements.replace.checked;
  for (;;) {
    const exists = { outcome: 'exists', message: texts.outcomes.exists };
    const { outcome, message } = !replace && (await isThere(file)) ? exists : await send(file, replace, item);
    if (outcome !== 'exists') {
      item.tell(message, outcome === 'uploaded' ? 'done' : 'failed');
      return outcome === 'uploaded';
    }
    replace = await new Promise((resolve) => {
      const replaceIt = button(texts.replaceIt, () => resolve(true));
      item.tell(
        message,
        'failed',
        replaceIt,
        button(texts.leaveIt, () => resolve(false)),
      );
    });
    if (!replace) {
      item.tell(message, 'failed');
      return false;
    }
  }
}

form?.addEventListener('submit', async (event) => {
  event.preventDefault();
  if (sending > 0) return;
  const files = [...form.elements.file.files].map((file) => ({ file, item: addItem(file) }));
  form.reset();
  sending = files.length;
  let done = 0;
  for (const { file, item } of files) {
    if (await upload(file, item)) done++;
    sending--;
  }
  const whole = new URL(form.action);
  if (done === files.length) location.assign(`${whole}?uploaded=${done}`);
  else if (done > 0) await showListing(whole.href);
});
addEventListener('beforeunload', (event) => {
  if (sending > 0) event.preventDefault();
});
