/** English, and by its type what every other language has to say. */
const number = new Intl.NumberFormat('en');
const count = (n: number, one: string, many: string) => `${n === 1 ? one : `${number.format(n)} ${many}`}`;

/** A heading, and what stands below it. */
export type Pair = [heading: string, text: string];

export const en = {
  name: 'English',
  /** The locale of dates, sizes and the order of names. */
  locale: 'en-GB',

  frame: {
    skip: 'Skip to content',
    pages: 'Pages',
    folders: 'Folders',
    account: 'Account',
    signOut: 'Sign out',
    language: 'Language',
    foot: 'is an independent app. It is connected to your PowerFolder account only while you allow it.',
  },

  home: {
    title: 'Home',
    signedInWith: 'Signed in with PowerFolder',
    welcome: 'Welcome, {name}.',
    within: 'Everything you keep in PowerFolder is within reach.',
    folders: 'Your folders',
    aboutFolders: 'Browse what you own and what others share with you, open files, and add new ones.',
    account: 'Your account',
    aboutAccount: 'Who you are to this app, how much space you have, and how long this app may use your account.',
    forWhom: 'For people with a PowerFolder account',
    /** The first and the third stay on one line each. */
    headline: ['Your folders,', 'one', 'sign-in', 'away.'] satisfies [string, string, string, string],
    lead: 'Use the account you already have. There is nothing to register, and no new password to remember.',
    signIn: 'Sign in with PowerFolder',
    facts: [
      ['Your password stays there', 'You type it at {host}, never here.'],
      ['You decide', 'PowerFolder asks you before this app may see your account and your folders.'],
      ['You can leave', 'Signing out makes this app forget its access to your account at once.'],
    ] satisfies Pair[],
  },

  account: {
    title: 'Account',
    space: 'Space',
    of: 'of {space}',
    used: (percent: string, free: string) => `${percent} used, ${free} free`,
    over: (percent: string, more: string) =>
      `${percent} used. That is ${more} more than you have: delete something, or ask for more space, before you add files.`,
    lessThanOnePercent: 'Less than 1%',
    spaceUnknown: 'PowerFolder did not say how much space you have.',
    access: 'Access',
    whileUsed: 'While you use this app',
    expires: 'Ends {time}',
    expired: 'Ended {time}',
    now: 'just now',
    soon: 'in less than a minute',
    accessUnknown: 'PowerFolder did not say how long this app may use your account.',
    renewed:
      'This app may use your account and your folders. There is nothing you need to do for that. Signing out ends it at once.',
    notRenewed: 'Until then, this app may use your account and your folders. After that, you sign in again.',
    details: 'About you',
    displayName: 'Name',
    username: 'User name',
    emails: (n: number): string => (n === 1 ? 'E-mail address' : 'E-mail addresses'),
    none: 'none',
    support: 'For support',
    id: 'Account ID',
  },

  folders: {
    title: 'Your folders',
    where: 'Where you are',
    loading: 'PowerFolder is being asked …',
    entries: (n: number) => count(n, '1 entry', 'entries'),
    found: (n: string, all: number) => `${n} of ${count(all, '1 entry', 'entries')}`,
    range: (from: number, to: number) => `${number.format(from)} to ${number.format(to)}`,
    tooMany: (n: number) => `Too many to show: here are ${number.format(n)} of the entries.`,
    omitted: (n: number) =>
      `${count(n, 'One entry is', 'entries are')} not shown, because PowerFolder did not describe ${n === 1 ? 'it' : 'them'} in a way that this app can read.`,
    emptyFolder: 'This folder is empty.',
    noFolders: 'You have no folders yet.',
    nothingFound: 'No name contains this text.',
    showAll: 'Show all',
    columns: { name: 'Name', size: 'Size', date: 'Modified' },
    folder: 'Folder',
    file: 'File',
    download: 'Download',
    downloadOf: 'Download {name}',
    filter: 'Filter by name',
    filterButton: 'Filter',
    pages: 'Pages of this folder',
    previous: 'Previous',
    next: 'Next',
    page: (n: number, all: number) => `Page ${number.format(n)} of ${number.format(all)}`,
    goTo: 'Go to {name}',
    goToTop: 'Go to your folders',
    back: 'Back to {name}',
    backToTop: 'Back to your folders',
  },

  upload: {
    title: 'Upload files',
    choose: 'Files, up to 2 GB each',
    replace: 'Replace files that have the same name',
    button: 'Upload',
    done: (n: number) => count(n, 'One file was uploaded.', 'files were uploaded.'),
    waiting: 'Waiting',
    cancel: 'Cancel',
    cancelled: 'Cancelled. Nothing was left behind.',
    replaceIt: 'Replace it',
    leaveIt: 'Leave it',
    offline: 'The connection was lost, and nothing was left behind. Please try again.',
    nothing: 'No file was chosen.',
    resultTitle: 'Not everything was uploaded',
    outcomes: {
      uploaded: 'Uploaded.',
      exists: 'A file of this name is there already. It was left as it is.',
      folder: 'A folder has this name. Please rename the file first.',
      name: 'PowerFolder cannot take a file of this name. Please rename it first.',
      locked: 'Somebody is working on it at the moment. Please try again later.',
      forbidden: 'You may not add files to this folder.',
      missing: 'The folder is not there any more.',
      full: 'There is not enough space left. Delete something first, or ask for more space.',
      many: 'The other files were not uploaded: please choose at most 200 at once.',
      large: 'The file is too large.',
      incomplete: 'PowerFolder did not keep the whole file, so it was removed. Please try again.',
      unavailable: 'PowerFolder does not answer as it should. Please try again in a while.',
      uncertain: 'PowerFolder did not say whether it has the file. Please look into the folder.',
    },
  },

  signedOut: {
    title: 'Signed out',
    headline: 'You are signed out.',
    forgotten: 'This app has forgotten its access to your account.',
    there: 'Your session at PowerFolder itself stays open. On a computer that others use as well, end it too.',
    signOutThere: 'Sign out of PowerFolder',
  },

  pattern: {
    title: 'A page to begin with',
    lead: 'This page shows what forms look like. Copy it, and make it yours.',
    note: 'Note',
    noteHint: 'One line, at most 80 characters.',
    noteMissing: 'Please write a note first.',
    noteLong: 'Please write at most 80 characters.',
    colour: 'Colour',
    colours: { green: 'Green', blue: 'Blue' },
    important: 'This is important',
    save: 'Save',
    saved: 'Saved: {name}',
  },

  errors: {
    tryAgain: 'Try again',
    signInAgain: 'Sign in again',
    toStart: 'Back to the start',
    reference: 'If you ask for help, give this reference:',
    notFound: ['There is nothing here', 'The address may be misspelt, or the page has moved.'],
    foreign: ['This came from another site', 'The request was not sent by a page of this app, so nothing was done.'],
    declined: ['You did not allow access', 'So you are not signed in, and this app has seen nothing of your account.'],
    notSignedIn: ['You are not signed in', ''],
    signInFirst: [
      'Please sign in',
      'This is for people who are signed in. Please open it as a page of its own to sign in.',
    ],
    notAllowed: ['This is not for you', 'Your account may not open this page.'],
    accessEnded: ['Please sign in again', 'PowerFolder does not accept this app’s access to your account any more.'],
    tooMany: [
      'Please wait a minute',
      'There were many sign-ins from your network just now. Nothing is wrong with your account.',
    ],
    signedOut: [
      'You have signed out',
      'You signed out while you were being signed in, so you are not. If you want to be, please sign in again.',
    ],
    storage: [
      'Please come back in a moment',
      'We cannot tell at present who is signed in. Nothing is lost; please try again soon.',
    ],
    powerFolder: [
      'PowerFolder does not answer as it should',
      'This app works, but the PowerFolder server could not be used just now. Please try again in a while.',
    ],
    request: ['This request was not understood', 'Please check the address and try again.'],
    ours: ['Something went wrong', 'The mistake is ours. It was noted; please try again.'],
    /** What PowerFolder's WebDAV may refuse for reasons that the visitor can understand, by status. */
    403: ['You may not open this', 'PowerFolder does not let you see this folder or file.'],
    404: ['This is not there', 'The folder or file was moved, renamed or deleted, or is no longer shared with you.'],
    412: ['This has changed', 'The file is not the one any more that was asked for.'],
    416: ['This part is not there', 'The file is shorter than what was asked for.'],
    423: ['This is locked', 'Somebody is working on this folder or file at the moment. Please come back later.'],
  } satisfies Record<string, string | Pair>,
};

export type Texts = typeof en;
