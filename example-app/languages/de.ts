/** Deutsch, in der Höflichkeitsform. */
import type { Texts } from './en.ts';

const number = new Intl.NumberFormat('de');
const count = (n: number, one: string, many: string) => `${n === 1 ? one : `${number.format(n)} ${many}`}`;

export const de: Texts = {
  name: 'Deutsch',
  locale: 'de-DE',

  frame: {
    skip: 'Zum Inhalt springen',
    pages: 'Seiten',
    folders: 'Ordner',
    account: 'Konto',
    signOut: 'Abmelden',
    language: 'Sprache',
    foot: 'ist eine unabhängige App. Sie ist nur so lange mit Ihrem PowerFolder-Konto verbunden, wie Sie es erlauben.',
  },

  home: {
    title: 'Start',
    signedInWith: 'Angemeldet mit PowerFolder',
    welcome: 'Willkommen, {name}.',
    within: 'Hier erreichen Sie alles, was Sie in PowerFolder aufbewahren.',
    folders: 'Ihre Ordner',
    aboutFolders: 'Eigene und mit Ihnen geteilte Ordner durchsehen, Dateien öffnen und neue hinzufügen.',
    account: 'Ihr Konto',
    aboutAccount: 'Wer Sie für diese App sind, wie viel Platz Sie haben und wie lange sie Ihr Konto nutzen darf.',
    forWhom: 'Für alle mit einem PowerFolder-Konto',
    headline: ['Ihre Ordner,', 'nur eine', 'Anmeldung', 'entfernt.'],
    lead: 'Nutzen Sie das Konto, das Sie schon haben: ohne Registrierung und ohne neues Passwort.',
    signIn: 'Mit PowerFolder anmelden',
    facts: [
      ['Ihr Passwort bleibt dort', 'Sie geben es bei {host} ein, nie hier.'],
      ['Sie entscheiden', 'PowerFolder fragt Sie, bevor diese App Ihr Konto und Ihre Ordner sehen darf.'],
      ['Sie können jederzeit gehen', 'Wenn Sie sich abmelden, vergisst diese App sofort ihren Zugang zu Ihrem Konto.'],
    ],
  },

  account: {
    title: 'Konto',
    space: 'Speicherplatz',
    of: 'von {space}',
    used: (percent, free) => `${percent} belegt, ${free} frei`,
    over: (percent, more) =>
      `${percent} belegt. Das sind ${more} zu viel: Löschen Sie etwas oder bitten Sie um mehr Platz, bevor Sie Dateien hinzufügen.`,
    lessThanOnePercent: 'Weniger als 1 %',
    spaceUnknown: 'PowerFolder hat nicht mitgeteilt, wie viel Platz Sie haben.',
    access: 'Zugriff',
    whileUsed: 'Solange Sie diese App nutzen',
    expires: 'Endet {time}',
    expired: 'Endete {time}',
    now: 'gerade eben',
    soon: 'in weniger als einer Minute',
    accessUnknown: 'PowerFolder hat nicht mitgeteilt, wie lange diese App Ihr Konto nutzen darf.',
    renewed:
      'Diese App darf Ihr Konto und Ihre Ordner nutzen. Sie müssen dafür nichts weiter tun. Wenn Sie sich abmelden, endet der Zugriff sofort.',
    notRenewed: 'Bis dahin darf diese App Ihr Konto und Ihre Ordner nutzen. Danach melden Sie sich erneut an.',
    details: 'Über Sie',
    displayName: 'Name',
    username: 'Benutzername',
    emails: (n) => (n === 1 ? 'E-Mail-Adresse' : 'E-Mail-Adressen'),
    none: 'keine',
    support: 'Für den Support',
    id: 'Konto-ID',
  },

  folders: {
    title: 'Ihre Ordner',
    where: 'Wo Sie sind',
    loading: 'PowerFolder wird gefragt …',
    entries: (n) => count(n, '1 Eintrag', 'Einträge'),
    found: (n, all) => `${n} von ${count(all, '1 Eintrag', 'Einträgen')}`,
    range: (from, to) => `${number.format(from)} bis ${number.format(to)}`,
    tooMany: (n) => `Es sind zu viele Einträge. Angezeigt werden ${number.format(n)} davon.`,
    omitted: (n) =>
      `${count(n, 'Ein Eintrag wird', 'Einträge werden')} nicht angezeigt, weil PowerFolder ${n === 1 ? 'ihn' : 'sie'} nicht so beschrieben hat, dass diese App es lesen kann.`,
    emptyFolder: 'Dieser Ordner ist leer.',
    noFolders: 'Sie haben noch keine Ordner.',
    nothingFound: 'Kein Name enthält diesen Text.',
    showAll: 'Alle anzeigen',
    columns: { name: 'Name', size: 'Größe', date: 'Geändert' },
    folder: 'Ordner',
    file: 'Datei',
    download: 'Herunterladen',
    downloadOf: '{name} herunterladen',
    filter: 'Nach Namen filtern',
    filterButton: 'Filtern',
    pages: 'Seiten dieses Ordners',
    previous: 'Zurück',
    next: 'Weiter',
    page: (n, all) => `Seite ${number.format(n)} von ${number.format(all)}`,
    goTo: 'Zum Ordner {name}',
    goToTop: 'Zu Ihren Ordnern',
    back: 'Zurück zum Ordner {name}',
    backToTop: 'Zurück zu Ihren Ordnern',
  },

  upload: {
    title: 'Dateien hochladen',
    choose: 'Dateien, jede bis zu 2 GB',
    replace: 'Dateien mit gleichem Namen ersetzen',
    button: 'Hochladen',
    done: (n) => count(n, 'Eine Datei wurde hochgeladen.', 'Dateien wurden hochgeladen.'),
    waiting: 'Wartet',
    cancel: 'Abbrechen',
    cancelled: 'Abgebrochen. Es ist nichts zurückgeblieben.',
    replaceIt: 'Ersetzen',
    leaveIt: 'Nicht ersetzen',
    offline: 'Die Verbindung ist abgebrochen; es ist nichts zurückgeblieben. Bitte versuchen Sie es noch einmal.',
    nothing: 'Es wurde keine Datei ausgewählt.',
    resultTitle: 'Nicht alles wurde hochgeladen',
    outcomes: {
      uploaded: 'Hochgeladen.',
      exists: 'Eine Datei mit diesem Namen gibt es schon. Sie ist unverändert.',
      folder: 'Ein Ordner trägt diesen Namen. Bitte benennen Sie die Datei vorher um.',
      name: 'PowerFolder kann keine Datei mit diesem Namen aufnehmen. Bitte benennen Sie sie vorher um.',
      locked: 'Gerade arbeitet jemand daran. Bitte versuchen Sie es später noch einmal.',
      forbidden: 'Sie dürfen diesem Ordner keine Dateien hinzufügen.',
      missing: 'Den Ordner gibt es nicht mehr.',
      full: 'Der Speicherplatz reicht nicht. Löschen Sie zuerst etwas oder bitten Sie um mehr Platz.',
      many: 'Die übrigen Dateien wurden nicht hochgeladen: Bitte wählen Sie höchstens 200 auf einmal.',
      large: 'Die Datei ist zu groß.',
      incomplete:
        'PowerFolder hat nicht die ganze Datei behalten, daher wurde sie entfernt. Bitte versuchen Sie es noch einmal.',
      unavailable: 'PowerFolder antwortet nicht, wie es soll. Bitte versuchen Sie es in einer Weile noch einmal.',
      uncertain: 'PowerFolder hat nicht mitgeteilt, ob die Datei angekommen ist. Bitte sehen Sie im Ordner nach.',
    },
  },

  signedOut: {
    title: 'Abgemeldet',
    headline: 'Sie sind abgemeldet.',
    forgotten: 'Diese App hat ihren Zugang zu Ihrem Konto vergessen.',
    there:
      'Bei PowerFolder selbst bleiben Sie angemeldet. Melden Sie sich auch dort ab, wenn andere diesen Computer mitbenutzen.',
    signOutThere: 'Bei PowerFolder abmelden',
  },

  pattern: {
    title: 'Eine Seite für den Anfang',
    lead: 'Diese Seite zeigt, wie Formulare aussehen. Kopieren Sie sie und machen Sie Ihre eigene daraus.',
    note: 'Notiz',
    noteHint: 'Eine Zeile mit höchstens 80 Zeichen.',
    noteMissing: 'Bitte schreiben Sie zuerst eine Notiz.',
    noteLong: 'Bitte schreiben Sie höchstens 80 Zeichen.',
    colour: 'Farbe',
    colours: { green: 'Grün', blue: 'Blau' },
    important: 'Das ist wichtig',
    save: 'Speichern',
    saved: 'Gespeichert: {name}',
  },

  errors: {
    tryAgain: 'Noch einmal versuchen',
    signInAgain: 'Erneut anmelden',
    toStart: 'Zur Startseite',
    reference: 'Wenn Sie um Hilfe bitten, nennen Sie diese Referenz:',
    notFound: [
      'Diese Seite gibt es nicht',
      'Vielleicht ist die Adresse falsch geschrieben, oder die Seite ist umgezogen.',
    ],
    foreign: [
      'Das kam von einer anderen Website',
      'Die Anfrage stammt nicht von einer Seite dieser App. Daher ist nichts geschehen.',
    ],
    declined: [
      'Sie haben den Zugriff nicht erlaubt',
      'Daher sind Sie nicht angemeldet, und diese App hat nichts von Ihrem Konto gesehen.',
    ],
    notSignedIn: ['Sie sind nicht angemeldet', ''],
    signInFirst: [
      'Bitte melden Sie sich an',
      'Das hier ist für angemeldete Personen. Bitte öffnen Sie es als eigene Seite, um sich anzumelden.',
    ],
    notAllowed: ['Diese Seite ist nicht für Sie', 'Ihr Konto darf diese Seite nicht öffnen.'],
    accessEnded: [
      'Bitte melden Sie sich erneut an',
      'PowerFolder erkennt den Zugang dieser App zu Ihrem Konto nicht mehr an.',
    ],
    tooMany: [
      'Bitte warten Sie eine Minute',
      'Aus Ihrem Netz kamen eben sehr viele Anmeldungen. Mit Ihrem Konto ist alles in Ordnung.',
    ],
    signedOut: [
      'Sie haben sich abgemeldet',
      'Sie haben sich abgemeldet, während eine Anmeldung noch lief. Daher sind Sie jetzt abgemeldet. Falls Sie das nicht wollten, melden Sie sich bitte erneut an.',
    ],
    storage: [
      'Bitte kommen Sie gleich wieder',
      'Zurzeit lässt sich nicht feststellen, wer angemeldet ist. Es ist nichts verloren; bitte versuchen Sie es bald noch einmal.',
    ],
    powerFolder: [
      'PowerFolder antwortet nicht, wie es soll',
      'Diese App funktioniert, aber der PowerFolder-Server war eben nicht zu erreichen. Bitte versuchen Sie es in einer Weile noch einmal.',
    ],
    request: ['Diese Anfrage war nicht zu verstehen', 'Bitte prüfen Sie die Adresse und versuchen Sie es noch einmal.'],
    ours: [
      'Etwas ist schiefgegangen',
      'Der Fehler liegt bei uns und wurde festgehalten. Bitte versuchen Sie es noch einmal.',
    ],
    403: ['Das dürfen Sie nicht öffnen', 'PowerFolder lässt Sie diesen Ordner oder diese Datei nicht sehen.'],
    404: [
      'Das ist nicht mehr da',
      'Der Ordner oder die Datei wurde verschoben, umbenannt oder gelöscht, oder wird nicht mehr mit Ihnen geteilt.',
    ],
    412: ['Das hat sich geändert', 'Die Datei ist nicht mehr die, nach der gefragt wurde.'],
    416: ['Diesen Teil gibt es nicht', 'Die Datei ist kürzer als das, wonach gefragt wurde.'],
    423: [
      'Das ist gesperrt',
      'Gerade arbeitet jemand an diesem Ordner oder dieser Datei. Bitte kommen Sie später wieder.',
    ],
  },
};
