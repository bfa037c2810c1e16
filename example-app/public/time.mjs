// Writes dates and times in the visitor's time zone, which only the browser knows. Without this they are in UTC.
const { lang } = document.documentElement;
const date = new Intl.DateTimeFormat(lang, { dateStyle: 'medium' });
const time = new Intl.DateTimeFormat(lang, { dateStyle: 'long', timeStyle: 'short' });

const write = () => {
  for (const element of document.querySelectorAll('time[datetime]')) {
    const at = new Date(element.dateTime);
    element.textContent = (element.dataset.style === 'long' ? time : date).format(at);
    element.title = time.format(at);
  }
};
write();
document.addEventListener('listing', write);
