// Filters a folder as one types. Without this, the filter is a form.
const field = document.querySelector('.filter [name=filter]');

/** Puts the listing of another address in the place of this one, or goes there if it cannot be had. */
export async function showListing(url, isWanted = () => true) {
  const answer = await fetch(url, { redirect: 'manual' }).catch(() => undefined);
  const page = answer?.ok && new DOMParser().parseFromString(await answer.text(), 'text/html');
  // Somebody has typed on meanwhile.
  if (!isWanted()) return;
  const listing = page?.getElementById('listing');
  if (!listing) return location.assign(url);
  document.getElementById('listing').replaceWith(listing);
  document.dispatchEvent(new Event('listing'));
}

const folded = (text) => text.normalize('NFC').toLowerCase();

/** Where all entries are on this page. */
function filterRows() {
  const wanted = folded(field.value.trim());
  const rows = document.querySelectorAll('.entries tbody tr');
  let found = 0;
  for (const row of rows) {
    row.hidden = !folded(row.querySelector('.name span').textContent).includes(wanted);
    if (!row.hidden) found++;
  }
  const count = document.querySelector('.count');
  count.textContent = wanted ? count.dataset.found.replace('{n}', found) : count.dataset.all;
  document.querySelector('.nothing').hidden = found > 0;
  // Sorting and reloading keep what was typed.
  for (const link of document.querySelectorAll('.entries th a')) link.href = withFilter(link.href);
  history.replaceState(null, '', withFilter(location.href));
}

function withFilter(address) {
  const url = new URL(address);
  url.searchParams.delete('page');
  if (field.value.trim()) url.searchParams.set('filter', field.value.trim());
  else url.searchParams.delete('filter');
  return url.href;
}

if (field) {
  field.form.classList.add('live');
  let soon;
  let asked = '';
  field.addEventListener('input', () => {
    if (field.dataset.whole === 'true') return filterRows();
    clearTimeout(soon);
    soon = setTimeout(async () => {
      const url = new URL(field.form.action);
      url.search = new URLSearchParams(new FormData(field.form));
      asked = url.href;
      history.replaceState(null, '', asked);
      await showListing(asked, () => asked === url.href);
    }, 300);
  });
  if (field.dataset.whole === 'true') {
    field.form.addEventListener('submit', (event) => event.preventDefault());
    // Browsers keep what was typed when somebody comes back.
    if (field.value) filterRows();
  }
}
